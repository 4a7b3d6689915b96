import { spawn, type ChildProcess } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test as base, type Page } from '@playwright/test'

const binary = new URL('../../bin/agentstudio', import.meta.url).pathname

/** The built binary on a throw-away data directory. */
export class Server {
  readonly dir = mkdtempSync(join(tmpdir(), 'agentstudio-e2e-'))
  url = ''
  private port = 0
  private process: ChildProcess | undefined
  private log = ''

  constructor(private settings: Record<string, string> = {}) {}

  async start(): Promise<void> {
    this.port ||= await freePort()
    this.url = `http://127.0.0.1:${this.port}`
    const off = { STUDIO_LIMIT_ANONYMOUS: 'off', STUDIO_LIMIT_CODE_IP: 'off', STUDIO_LIMIT_CODE_ADDRESS: 'off', STUDIO_LIMIT_VERIFY: 'off' }
    const env = { PATH: process.env['PATH'] ?? '', HOME: this.dir, ...off, ...this.settings }
    this.process = spawn(binary, ['serve', '--addr', `127.0.0.1:${this.port}`, '--data-dir', join(this.dir, 'data')], { env, stdio: ['ignore', 'pipe', 'pipe'] })
    const hear = (chunk: Buffer) => void (this.log += chunk.toString())
    this.process.stdout?.on('data', hear)
    this.process.stderr?.on('data', hear)
    await expect.poll(() => fetch(`${this.url}/readyz`).then((r) => r.ok, () => false), { timeout: 30_000, message: `the server does not start: ${this.log}` }).toBe(true)
  }

  /** As if the machine had lost its power. */
  async kill(): Promise<void> {
    const gone = new Promise((done) => this.process?.once('exit', done))
    this.process?.kill('SIGKILL')
    await gone
  }

  async stop(): Promise<void> {
    const gone = new Promise((done) => this.process?.once('exit', done))
    this.process?.kill('SIGTERM')
    await gone
    rmSync(this.dir, { recursive: true, force: true })
  }

  /** The newest code sent to an address, as the log shows it. */
  async code(email: string): Promise<string> {
    const find = () => [...this.log.matchAll(new RegExp(`to=${email.replace(/[.+]/g, '\\$&')} subject="Your Agent Studio code: (\\d{6})"`, 'g'))].at(-1)?.[1] ?? ''
    await expect.poll(find).not.toBe('')
    return find()
  }
}

async function freePort(): Promise<number> {
  return new Promise((done) => {
    const s = createServer().listen(0, '127.0.0.1', () => {
      const address = s.address()
      s.close(() => done(typeof address === 'object' && address ? address.port : 0))
    })
  })
}

export const example = (name: string) => readFileSync(new URL(`../../examples/${name}.yaml`, import.meta.url), 'utf8')

/** Calls the API as somebody, for what a test needs and is not about. */
export class Caller {
  constructor(
    private url: string,
    private token: string,
  ) {}

  async call<T = { id: string }>(method: string, path: string, body?: unknown, type = 'application/json'): Promise<T> {
    const answer = await fetch(`${this.url}/api/v1${path}`, { method, headers: { authorization: `Bearer ${this.token}`, 'content-type': type }, ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }) })
    const text = await answer.text()
    if (!answer.ok) throw new Error(`${method} ${path}: ${text}`)
    return (text ? JSON.parse(text) : undefined) as T
  }

  /** What a stream of server-sent events says until its end. */
  async stream(path: string): Promise<string> {
    return (await fetch(`${this.url}/api/v1${path}`, { headers: { authorization: `Bearer ${this.token}`, accept: 'text/event-stream' } })).text()
  }
}

let people = 0

export const test = base.extend<{ email: string; caller: Caller }, { server: Server }>({
  server: [
    async ({}, use) => { // eslint-disable-line no-empty-pattern
      const server = new Server()
      await server.start()
      await use(server)
      await server.stop()
    },
    { scope: 'worker' },
  ],
  email: async ({}, use) => { // eslint-disable-line no-empty-pattern
    await use(`person${++people}@example.com`)
  },
  caller: async ({ server, email }, use) => {
    const post = async (path: string, body: object) => (await fetch(`${server.url}/api/v1${path}`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })).json() as Promise<{ access_token: string }>
    await post('/auth/request-otp', { email })
    const { access_token } = await post('/auth/verify-otp', { email, code: await server.code(email) })
    await use(new Caller(server.url, access_token))
  },
})

export { expect }

/** Signs in as people do, pasting the code. */
export async function signIn(page: Page, server: Server, email: string): Promise<void> {
  await page.goto(server.url)
  await page.getByLabel('E-mail address').fill(email)
  await page.getByRole('button', { name: 'Send me a code' }).click()
  await page.getByLabel('Digit 1 of 6').waitFor()
  const code = await server.code(email)
  await page.evaluate((text) => navigator.clipboard.writeText(`Your code is ${text}.`), code)
  await page.getByLabel('Digit 1 of 6').press('ControlOrMeta+v')
  await expect(page.getByRole('navigation', { name: 'Pages' })).toBeVisible()
}

/** Signs in with a session that somebody else has begun, without the ceremony. */
export async function enter(page: Page, server: Server, email: string): Promise<void> {
  const json = { 'content-type': 'application/json' }
  await page.request.post(`${server.url}/api/v1/auth/request-otp`, { headers: json, data: { email } })
  await expect.poll(() => server.code(email)).toMatch(/\d{6}/)
  await expect.poll(async () => (await page.request.post(`${server.url}/api/v1/auth/verify-otp`, { headers: json, data: { email, code: await server.code(email) } })).ok()).toBe(true)
}
