import createClient, { type Middleware } from 'openapi-fetch'
import type { components, paths } from './schema.gen'
import { place } from '@/app/place'

export type Schema = components['schemas']
export type Problem = Schema['Problem']
export type ProblemEntry = Schema['ProblemEntry']

/** What the API refused, in its own words. */
export class ApiError extends Error {
  readonly status: number
  readonly code: string
  /** Every fault of the input. */
  readonly faults: ProblemEntry[]
  readonly requestId: string
  readonly retryAfter: number

  constructor(problem: Partial<Problem> & { status: number }, retryAfter = 0) {
    super(sentence(problem.detail ?? problem.title ?? `The server answered ${problem.status}`))
    this.name = 'ApiError'
    this.status = problem.status
    this.code = problem.code ?? ''
    this.faults = problem.errors ?? []
    this.requestId = problem.instance?.replace('urn:request:', '') ?? ''
    this.retryAfter = retryAfter
  }

  /** Somebody else has changed it since it was read. */
  get stale(): boolean {
    return this.status === 412
  }

  get missing(): boolean {
    return this.status === 404
  }
}

/** The server cannot be reached at all. */
export class OfflineError extends Error {
  constructor() {
    super('The server cannot be reached. Your work is kept here; it goes on as soon as the server is back.')
    this.name = 'OfflineError'
  }
}

function sentence(text: string): string {
  const first = text.charAt(0).toUpperCase() + text.slice(1)
  return /[.!?]$/.test(first) ? first : first + '.'
}

export type User = Schema['User']

/**
 * Who is signed in. The access token lives in memory only; the refresh token in
 * a cookie that scripts cannot read, from which a reload signs in again.
 */
class Session {
  private token = ''
  private refreshing: Promise<boolean> | undefined
  private listeners = new Set<() => void>()
  user: User | null | undefined // undefined: not known yet

  get access(): string {
    return this.token
  }

  begin(tokens: Schema['Tokens']): void {
    this.token = tokens.access_token
    this.user = tokens.user
    this.tell()
  }

  end(): void {
    this.token = ''
    this.user = null
    this.tell()
  }

  change(user: User): void {
    this.user = user
    this.tell()
  }

  /**
   * Trades the cookie for new tokens. However many ask at once, one request is
   * made: a refresh token that is used twice signs the device out.
   */
  refresh(): Promise<boolean> {
    this.refreshing ??= this.ask().finally(() => {
      this.refreshing = undefined
    })
    return this.refreshing
  }

  private async ask(): Promise<boolean> {
    // Tabs share the cookie: they take turns.
    if (navigator.locks) return navigator.locks.request('studio.refresh', () => this.trade())
    return this.trade()
  }

  private async trade(): Promise<boolean> {
    const answer = await fetch(place('api/v1/auth/refresh'), {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: '{}',
    }).catch(() => {
      throw new OfflineError()
    })
    if (answer.ok) {
      this.begin((await answer.json()) as Schema['Tokens'])
      return true
    }
    if (answer.status === 401 || answer.status === 422) {
      this.end()
      return false
    }
    throw await failure(answer)
  }

  subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }

  private tell(): void {
    for (const listener of this.listeners) listener()
  }
}

export const session = new Session()

async function failure(answer: Response): Promise<ApiError> {
  const problem = (await answer.json().catch(() => ({}))) as Partial<Problem>
  return new ApiError({ ...problem, status: answer.status }, Number(answer.headers.get('Retry-After') ?? 0))
}

/** fetch with the access token; a token that has run out is traded once. */
export async function authorised(request: Request): Promise<Response> {
  const again = request.clone()
  if (session.access) request.headers.set('Authorization', `Bearer ${session.access}`)
  const used = session.access
  const answer = await fetch(request).catch((error: unknown) => {
    if (error instanceof DOMException && error.name === 'AbortError') throw error
    throw new OfflineError()
  })
  if (answer.status !== 401 || request.url.includes('/auth/verify-otp')) return answer
  if (session.access === used && !(await session.refresh())) return answer
  again.headers.set('Authorization', `Bearer ${session.access}`)
  return fetch(again).catch(() => {
    throw new OfflineError()
  })
}

const refuse: Middleware = {
  async onResponse({ response }) {
    if (!response.ok && response.status !== 304) throw await failure(response)
    return undefined
  },
}

export const api = createClient<paths>({ baseUrl: place('').replace(/\/$/, ''), fetch: authorised })
api.use(refuse)

/** The body of an answer that is always there: failures were thrown. */
export async function body<T>(call: Promise<{ data?: T }>): Promise<T> {
  return (await call).data as T
}

/** A thing with the mark of its version, for If-Match. */
export interface Tagged<T> {
  value: T
  etag: string
}

export async function tagged<T>(call: Promise<{ data?: T; response: Response }>): Promise<Tagged<T>> {
  const { data, response } = await call
  return { value: data as T, etag: response.headers.get('ETag') ?? '' }
}
