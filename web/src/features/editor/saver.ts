/**
 * Saves a draft as it changes: a moment after the last change, one request at a
 * time, again by itself when the server was away. It never overwrites what
 * somebody else has saved: that is a conflict, for a person to settle.
 */
export type SaveState = 'saved' | 'dirty' | 'saving' | 'offline' | 'refused' | 'conflict'

export interface SaveWorld<T> {
  /** Throws {stale: true} when somebody else saved meanwhile, {status} when it was refused, anything else when the server is away. */
  put(draft: T, etag: string): Promise<{ etag: string }>
  later(run: () => void, ms: number): () => void
}

const rest = 700
const pauses = [1000, 2000, 5000, 10_000]

export class Saver<T> {
  state: SaveState = 'saved'
  error: unknown
  private wanted: T | undefined
  private cancel: (() => void) | undefined
  private busy: Promise<void> | undefined
  private failures = 0
  private listeners = new Set<() => void>()

  constructor(
    private world: SaveWorld<T>,
    private etag: string,
  ) {}

  get tag(): string {
    return this.etag
  }

  /** The draft is now this; it will be saved. */
  change(draft: T): void {
    this.wanted = draft
    if (this.state === 'conflict') return
    if (this.state !== 'saving') this.set('dirty')
    this.plan(rest)
  }

  /** Saves at once and waits; false when it could not be saved. */
  async flush(): Promise<boolean> {
    this.cancel?.()
    if (this.busy) await this.busy
    if (this.wanted !== undefined && this.state !== 'conflict') await this.save()
    return this.state === 'saved'
  }

  /** Goes on from what the server has now: what was not saved yet is dropped, or saved over it. */
  settle(etag: string, mine?: T): void {
    this.etag = etag
    this.wanted = mine
    this.error = undefined
    this.failures = 0
    if (mine === undefined) {
      this.cancel?.()
      this.set('saved')
    } else {
      this.set('dirty')
      this.plan(0)
    }
  }

  stop(): void {
    this.cancel?.()
  }

  subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }

  private plan(ms: number): void {
    this.cancel?.()
    this.cancel = this.world.later(() => void this.save(), ms)
  }

  private save(): Promise<void> {
    this.busy ??= this.once().finally(() => {
      this.busy = undefined
    })
    return this.busy
  }

  private async once(): Promise<void> {
    while (this.wanted !== undefined && this.state !== 'conflict') {
      const draft = this.wanted
      this.set('saving')
      try {
        this.etag = (await this.world.put(draft, this.etag)).etag
        this.failures = 0
        this.error = undefined
        if (this.wanted === draft) {
          this.wanted = undefined
          this.set('saved')
        }
      } catch (failure) {
        this.error = failure
        const { stale, status } = failure as { stale?: boolean; status?: number }
        if (stale) this.set('conflict')
        else if (status !== undefined && status < 500 && status !== 429) this.set('refused')
        else {
          this.set('offline')
          this.plan(pauses[Math.min(this.failures++, pauses.length - 1)] ?? 10_000)
        }
        return
      }
    }
  }

  private set(state: SaveState): void {
    this.state = state
    for (const listener of this.listeners) listener()
  }
}
