/**
 * What the server tells as it happens: one WebSocket for all rooms. It connects
 * when the first room is watched, comes back by itself, goes on behind the
 * event seen last, and gives each stored event once and in order.
 */
export interface LiveEvent<T = Record<string, unknown>> {
  room_id: string
  seq?: number
  type: string
  event: string
  timestamp: string
  data: T
}

export type LiveState = 'off' | 'connecting' | 'open' | 'waiting'

export interface Watcher {
  event(e: LiveEvent): void
  /** Events without a number may have been missed: load anew what is shown. */
  missed?(): void
  /** The room may not be entered. */
  denied?(message: string): void
}

/** What a socket must know of the world; tests give their own. */
export interface World {
  open(): Promise<Wire>
  later(run: () => void, ms: number): () => void
  random(): number
}

export interface Wire {
  send(text: string): void
  close(): void
  onmessage: (text: string) => void
  onclose: (code: number) => void
}

interface Room {
  watchers: Set<Watcher>
  last: number
  joined: boolean // of this connection
}

const firstPause = 500
const longestPause = 15_000
/** Nothing at all was heard for so long, a ping included: the line is dead. */
const silence = 45_000
const pingEvery = 20_000

export class Live {
  private rooms = new Map<string, Room>()
  private wire: Wire | undefined
  private failures = 0
  private cancelRetry: (() => void) | undefined
  private cancelPing: (() => void) | undefined
  private cancelSilence: (() => void) | undefined
  private listeners = new Set<() => void>()
  private opening = 0
  state: LiveState = 'off'
  /** What others know the connection by; a new one has another. */
  connection = ''

  constructor(private world: World) {}

  /**
   * Watches a room until the function returned is called. after: the number of
   * the event that is known already; left out: only what happens from now on.
   */
  watch(name: string, watcher: Watcher, after = -1): () => void {
    let room = this.rooms.get(name)
    if (!room) {
      room = { watchers: new Set(), last: after, joined: false }
      this.rooms.set(name, room)
    } else if (after >= 0 && (room.last < 0 || after < room.last)) {
      // This one knows less than the others: the room is read again, and what
      // the others have seen is not theirs again.
      room.last = after
      room.joined = false
    }
    const joined = room
    const seen = { last: after }
    const guarded: Watcher = {
      event: (e) => {
        if (e.seq !== undefined) {
          if (e.seq <= seen.last) return
          seen.last = e.seq
        }
        watcher.event(e)
      },
      missed: () => watcher.missed?.(),
      denied: (message) => watcher.denied?.(message),
    }
    joined.watchers.add(guarded)
    if (this.state === 'open') this.join(name, joined)
    else if (this.state === 'off') void this.connect()
    return () => {
      joined.watchers.delete(guarded)
      if (joined.watchers.size > 0 || this.rooms.get(name) !== joined) return
      this.rooms.delete(name)
      if (joined.joined) this.wire?.send(JSON.stringify({ type: 'unsubscribe', room_id: name }))
      if (this.rooms.size === 0) this.rest()
    }
  }

  /** Says something in a room that is watched; lost when there is no connection. */
  say(room: string, frame: { type: string } & Record<string, unknown>): void {
    if (this.state === 'open' && this.rooms.has(room)) this.wire?.send(JSON.stringify({ ...frame, room_id: room }))
  }

  /** Tries at once, as when the network is back. */
  hurry(): void {
    if (this.state !== 'waiting') return
    this.cancelRetry?.()
    void this.connect()
  }

  /** Ends the connection, and forgets every room: somebody has signed out. */
  stop(): void {
    this.rooms.clear()
    this.rest()
  }

  subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }

  private rest(): void {
    this.opening++
    this.cancelRetry?.()
    this.hangUp()
    this.failures = 0
    this.set('off')
  }

  private hangUp(): void {
    this.cancelPing?.()
    this.cancelSilence?.()
    const wire = this.wire
    this.wire = undefined
    if (wire) {
      wire.onclose = () => {}
      wire.onmessage = () => {}
      wire.close()
    }
  }

  private set(state: LiveState): void {
    if (this.state === state) return
    this.state = state
    for (const listener of this.listeners) listener()
  }

  private async connect(): Promise<void> {
    const mine = ++this.opening
    this.set('connecting')
    let wire: Wire
    try {
      wire = await this.world.open()
    } catch {
      if (mine === this.opening) this.retry()
      return
    }
    if (mine !== this.opening) {
      wire.close()
      return
    }
    this.wire = wire
    wire.onmessage = (text) => this.hear(text)
    wire.onclose = () => {
      this.hangUp()
      this.retry()
    }
    for (const room of this.rooms.values()) room.joined = false
    this.set('open')
    this.listen()
    this.ping()
    for (const [name, room] of this.rooms) this.join(name, room)
  }

  private retry(): void {
    this.set('waiting')
    const pause = Math.min(longestPause, firstPause * 2 ** this.failures++)
    // Between half and the whole: not everybody comes back at one moment.
    this.cancelRetry = this.world.later(() => void this.connect(), pause * (0.5 + this.world.random() / 2))
  }

  private ping(): void {
    this.cancelPing = this.world.later(() => {
      this.wire?.send('{"type":"ping"}')
      this.ping()
    }, pingEvery)
  }

  private listen(): void {
    this.cancelSilence?.()
    this.cancelSilence = this.world.later(() => {
      this.hangUp()
      this.retry()
    }, silence)
  }

  private join(name: string, room: Room): void {
    if (room.joined) return
    room.joined = true
    const known = room.last >= 0 ? { after_seq: room.last } : {}
    this.wire?.send(JSON.stringify({ type: 'subscribe', room_id: name, ...known }))
  }

  private hear(text: string): void {
    this.listen()
    const e = JSON.parse(text) as LiveEvent & { message?: string; connection_id?: string }
    if (e.type === 'connection') {
      this.failures = 0
      this.connection = e.connection_id ?? ''
      return
    }
    const room = this.rooms.get(e.room_id)
    if (!room) return
    if (e.type === 'error') {
      for (const watcher of [...room.watchers]) watcher.denied?.(e.message ?? '')
      return
    }
    if (e.type === 'subscription') {
      // A room without numbers cannot tell what happened before it was joined:
      // while we were away, or between loading what is shown and joining.
      if (e.event === 'missed' || (e.event === 'subscribed' && room.last < 0)) for (const watcher of [...room.watchers]) watcher.missed?.()
      return
    }
    if (e.seq !== undefined && e.seq > room.last) room.last = e.seq
    for (const watcher of [...room.watchers]) watcher.event(e)
  }
}
