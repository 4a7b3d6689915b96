import { describe, expect, it } from 'vitest'
import { Live, type LiveEvent, type Wire, type World } from './live'

/** A server of one's own, and a clock that goes when it is told to. */
class Fake implements World {
  wires: (Wire & { sent: Record<string, unknown>[]; closed: boolean })[] = []
  timers: { run: () => void; ms: number; on: boolean }[] = []
  down = false

  async open(): Promise<Wire> {
    if (this.down) throw new Error('down')
    const wire = { sent: [] as Record<string, unknown>[], closed: false, send: (text: string) => void wire.sent.push(JSON.parse(text) as Record<string, unknown>), close: () => void (wire.closed = true), onmessage: (_: string) => {}, onclose: (_: number) => {} }
    this.wires.push(wire)
    return wire
  }
  later(run: () => void, ms: number) {
    const timer = { run, ms, on: true }
    this.timers.push(timer)
    return () => void (timer.on = false)
  }
  random() {
    return 1
  }
  get wire() {
    return this.wires.at(-1) as Fake['wires'][number]
  }
  tell(e: object) {
    this.wire.onmessage(JSON.stringify({ timestamp: '', ...e }))
  }
  /** Lets the newest timer that waits so long go off. */
  pass(ms: number) {
    const timer = this.timers.filter((x) => x.on && x.ms === ms).at(-1)
    if (!timer) throw new Error(`no timer of ${ms}: ${this.timers.map((x) => x.ms).join()}`)
    timer.on = false
    timer.run()
  }
}

const settle = () => new Promise<void>((done) => setTimeout(done))
const event = (seq: number, room = 'execution:1') => ({ room_id: room, seq, type: 'log', event: 'appended', data: {} })

describe('live updates', () => {
  it('share one connection, and come back where they were', async () => {
    const world = new Fake()
    const live = new Live(world)
    const seen: number[] = []
    live.watch('execution:1', { event: (e) => seen.push(e.seq ?? -1) }, 0)
    live.watch('workspace:1', { event: () => {} })
    await settle()
    expect(world.wires).toHaveLength(1)
    expect(world.wire.sent).toEqual([
      { type: 'subscribe', room_id: 'execution:1', after_seq: 0 },
      { type: 'subscribe', room_id: 'workspace:1' },
    ])
    for (const n of [1, 2, 2, 3]) world.tell(event(n))
    world.wire.onclose(1006)
    expect(live.state).toBe('waiting')
    world.pass(500)
    await settle()
    expect(world.wire.sent[0]).toEqual({ type: 'subscribe', room_id: 'execution:1', after_seq: 3 })
    for (const n of [3, 4]) world.tell(event(n))
    expect(seen).toEqual([1, 2, 3, 4])
  })

  it('wait longer each time that nobody answers', async () => {
    const world = new Fake()
    world.down = true
    const live = new Live(world)
    live.watch('execution:1', { event: () => {} })
    await settle()
    for (const ms of [500, 1000, 2000, 4000, 8000, 15_000, 15_000]) {
      world.pass(ms)
      await settle()
    }
    world.down = false
    live.hurry()
    await settle()
    expect(live.state).toBe('open')
  })

  it('give a later watcher the past, and nobody anything twice', async () => {
    const world = new Fake()
    const live = new Live(world)
    const first: number[] = []
    const second: number[] = []
    live.watch('execution:1', { event: (e) => first.push(e.seq ?? -1) }, 0)
    await settle()
    for (const n of [1, 2]) world.tell(event(n))
    live.watch('execution:1', { event: (e) => second.push(e.seq ?? -1) }, 0)
    expect(world.wire.sent.at(-1)).toEqual({ type: 'subscribe', room_id: 'execution:1', after_seq: 0 })
    for (const n of [1, 2, 3]) world.tell(event(n))
    expect(first).toEqual([1, 2, 3])
    expect(second).toEqual([1, 2, 3])
  })

  it('say when something may have been missed in a room without numbers', async () => {
    const world = new Fake()
    const live = new Live(world)
    let missed = 0
    live.watch('workspace:1', { event: () => {}, missed: () => missed++ })
    await settle()
    world.tell({ type: 'subscription', event: 'subscribed', room_id: 'workspace:1' })
    expect(missed).toBe(1) // since what is shown was loaded
    world.wire.onclose(1001)
    world.pass(500)
    await settle()
    world.tell({ type: 'subscription', event: 'subscribed', room_id: 'workspace:1' })
    expect(missed).toBe(2)
    world.tell({ type: 'subscription', event: 'missed', room_id: 'workspace:1' })
    expect(missed).toBe(3)
  })

  it('notice a line that is dead, and hang up when nobody watches', async () => {
    const world = new Fake()
    const live = new Live(world)
    const leave = live.watch('workspace:1', { event: (_: LiveEvent) => {} })
    await settle()
    world.pass(45_000)
    expect(live.state).toBe('waiting')
    world.pass(500)
    await settle()
    leave()
    expect(live.state).toBe('off')
    expect(world.wire.closed).toBe(true)
  })
})
