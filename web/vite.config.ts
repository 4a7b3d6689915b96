import { fileURLToPath } from 'node:url'
import react from '@vitejs/plugin-react'
import { defineConfig } from 'vitest/config'

// Where the API answers while one works on the pages (npm run dev).
const server = process.env['STUDIO_DEV_SERVER'] ?? 'http://127.0.0.1:8000'

export default defineConfig({
  // Relative, so that one build works under any path.
  base: './',
  plugins: [react()],
  resolve: { alias: { '@': fileURLToPath(new URL('./src', import.meta.url)) } },
  build: {
    target: 'es2022',
    sourcemap: false,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 700,
  },
  server: { fs: { allow: ['..'] }, proxy: { '/api': { target: server, ws: true } } }, // the templates lie in examples/
  test: { include: ['src/**/*.test.ts', 'src/**/*.test.tsx'] },
})
