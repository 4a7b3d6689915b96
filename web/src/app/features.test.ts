import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'

const src = new URL('..', import.meta.url).pathname

function files(dir: string): string[] {
  return readdirSync(dir).flatMap((name) => {
    const path = join(dir, name)
    return statSync(path).isDirectory() ? files(path) : /\.tsx?$/.test(name) ? [path] : []
  })
}

const imports = (path: string) => [...readFileSync(path, 'utf8').matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)].map((m) => m[1] ?? '')

it('features never import each other, and only the list of pages imports them', () => {
  const wrong = files(src).flatMap((path) => {
    const at = path.slice(src.length)
    const own = /^features\/([^/]+)\//.exec(at)?.[1]
    return imports(path)
      .map((name) => /^@\/features\/([^/]+)/.exec(name)?.[1])
      .filter((feature) => feature && feature !== own && !['pages.ts', 'app/App.tsx'].includes(at))
      .map((feature) => `${at} imports ${feature}`)
  })
  expect(wrong).toEqual([])
})

it('only the client and the queries call the API, and React Flow stays out of the first script', () => {
  const wrong = files(src).flatMap((path) => {
    const at = path.slice(src.length)
    if (at.endsWith('.test.ts')) return []
    const calls = /\bapi\.(GET|POST|PUT|PATCH|DELETE)\(/.test(readFileSync(path, 'utf8'))
    const allowed = /(^api\/|queries\.ts$|^app\/(Palette|Frame)\.tsx$)/.test(at)
    const flow = imports(path).some((name) => name.startsWith('@xyflow/'))
    return [...(calls && !allowed ? [`${at} calls the API`] : []), ...(flow && !/^(canvas|features\/(editor|execution))\//.test(at) ? [`${at} imports React Flow`] : [])]
  })
  expect(wrong).toEqual([])
})

it('no file is longer than 500 lines, but for what is generated and the words', () => {
  const long = files(src).filter((path) => !path.includes('.gen.') && !path.endsWith('text/en.ts') && readFileSync(path, 'utf8').split('\n').length > 500)
  expect(long).toEqual([])
})
