import { existsSync } from 'node:fs'
import { defineConfig } from '@playwright/test'

// The system's browser: nothing is downloaded.
const browser = [process.env['CHROMIUM'], '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome', '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome'].find((path) => path && existsSync(path))
if (!browser) throw new Error('Chromium is needed for the browser tests: scripts/setup installs it on Debian, or name one with CHROMIUM=/path')

export default defineConfig({
  testDir: 'e2e',
  workers: 1,
  retries: 0,
  timeout: 60_000,
  expect: { timeout: 15_000 },
  reporter: [['list']],
  use: {
    viewport: { width: 1440, height: 900 },
    // No flags for graphics: without a graphics card Chromium rasters and composes in software by itself,
    // as it does for people on such machines. (SwiftShader serves WebGL alone, which no page uses.)
    launchOptions: { executablePath: browser, args: ['--no-sandbox'] },
    permissions: ['clipboard-read', 'clipboard-write'],
    trace: 'retain-on-failure',
  },
})
