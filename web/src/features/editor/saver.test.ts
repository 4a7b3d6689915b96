import { describe, expect, it } from 'vitest'
import { Saver } from './saver'

function world() {
  const timers: (() => void)[] = []
  const puts: [string, string][] = []
  let n = 1
  const w = {
    puts,
    fail: undefined as unknown,
    put: async (draft: string, etag: string) => {
      puts.push([draft, etag])
      await Promise.resolve()
      if (w.fail) throw w.fail
      return { etag: `v${++n}` }
    },
    later: (run: () => void) => {
      timers.push(run)
      return () => void timers.splice(timers.indexOf(run), timers.includes(run) ? 1 : 0)
    },
    tick: async () => {
      timers.splice(0).forEach((run) => run())
      await new Promise((done) => setTimeout(done))
    },
  }
  return w
}

describe('saving', () => {
  it('joins quick changes, and saves one after the other with the newest mark', async () => {
    const w = world()
    const s = new Saver<string>(w, 'v1')
    s.change('a')
    s.change('b')
    await w.tick()
    expect(w.puts).toEqual([['b', 'v1']])
    s.change('c')
    expect(s.state).toBe('dirty')
    expect(await s.flush()).toBe(true)
    expect(w.puts.at(-1)).toEqual(['c', 'v2'])
  })
  it('tries again while the server is away, and loses nothing', async () => {
    const w = world()
    const s = new Saver<string>(w, 'v1')
    w.fail = new Error('away')
    s.change('a')
    await w.tick()
    expect(s.state).toBe('offline')
    w.fail = undefined
    await w.tick()
    expect(s.state).toBe('saved')
  })
  it('stops at a conflict until somebody has settled it', async () => {
    const w = world()
    const s = new Saver<string>(w, 'v1')
    w.fail = { stale: true, status: 412 }
    s.change('mine')
    await w.tick()
    expect(s.state).toBe('conflict')
    s.change('mine too')
    await w.tick()
    expect(w.puts).toHaveLength(1)
    w.fail = undefined
    s.settle('v9', 'mine too')
    await w.tick()
    expect(w.puts.at(-1)).toEqual(['mine too', 'v9'])
    expect(s.state).toBe('saved')
    s.settle('v12')
    expect(s.state).toBe('saved')
  })
  it('waits for the next change when it was refused', async () => {
    const w = world()
    const s = new Saver<string>(w, 'v1')
    w.fail = { status: 422 }
    s.change('bad')
    expect(await s.flush()).toBe(false)
    expect(s.state).toBe('refused')
    w.fail = undefined
    s.change('good')
    await w.tick()
    expect(s.state).toBe('saved')
  })
})
