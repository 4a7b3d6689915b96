import { describe, expect, it } from 'vitest'
import { bars, criticalPath, emptyRun, saying, take } from './state'
import type { LiveEvent } from '@/api/live'

const t0 = Date.parse('2026-01-01T00:00:00Z')
let seq = 0
const event = (ms: number, type: string, data: object, name = 'status_changed'): LiveEvent => ({ room_id: 'execution:x', seq: ++seq, type, event: name, timestamp: new Date(t0 + ms).toISOString(), data: data as Record<string, unknown> })
const node = (ms: number, id: string, status: string, more: object = {}) => event(ms, 'node_update', { node_execution_id: id + ms, node_id: id, status, ...more })

describe('the state of a run', () => {
  it('follows nodes, rounds of loops, logs and the text of models', () => {
    seq = 0
    const events = [
      event(0, 'execution_update', { status: 'running', progress_percentage: 0, total_nodes: 3 }),
      node(1, 'a', 'running'),
      node(5, 'a', 'completed', { duration_ms: 4 }),
      node(5, 'b', 'running', { iteration: '0' }),
      node(5, 'b', 'running', { iteration: '1' }),
      node(9, 'b', 'completed', { iteration: '1', duration_ms: 4 }),
      event(9, 'log', { level: 'warn', message: 'careful', node_id: 'b' }, 'appended'),
    ]
    let s = take(emptyRun(), events)
    expect(s.nodes.get('a')?.status).toBe('completed')
    expect(s.nodes.get('b')).toMatchObject({ status: 'running', counts: { running: 1, completed: 1 } })
    expect(s.logs.map((l) => l.message)).toEqual(['careful'])
    s = take(s, [{ ...event(10, 'node_output', { node_id: 'b', kind: 'text', text: 'Bees ' }, 'delta'), seq: undefined as never }])
    s = take(s, [{ ...event(10, 'node_output', { node_id: 'b', kind: 'text', text: 'dance' }, 'delta'), seq: undefined as never }])
    expect(s.nodes.get('b')?.text).toBe('Bees dance')
    const again = take(s, events)
    expect(again.nodes.get('b')?.counts).toEqual({ running: 1, completed: 1 })
    expect(again.logs).toHaveLength(1)
  })
  it('tells what an agent says from what those say that it has called', () => {
    seq = 0
    const says = (text: string, more: object = {}) => ({ ...event(1, 'node_output', { node_id: 'a', kind: 'text', text, ...more }, 'delta'), seq: undefined as never })
    const step = (name: string) => event(2, 'node_update', { node_id: 'a', name, kind: 'turn' }, 'step_completed')
    let s = take(emptyRun(), [node(0, 'a', 'running'), says('I ask. '), says('Roses', { agent: 'Poet', step: 'turn-1/tool-1' }), says('Facts', { agent: 'Critic', step: 'turn-1/tool-2' }), says('Then…')])
    expect(s.nodes.get('a')?.text).toBe('I ask. Then…')
    expect([...(s.nodes.get('a')?.called.values() ?? [])]).toEqual([{ agent: 'Poet', text: 'Roses' }, { agent: 'Critic', text: 'Facts' }])
    s = take(s, [step('turn-1/tool-1/turn-1')])
    expect([...(s.nodes.get('a')?.called.keys() ?? [])]).toEqual(['turn-1/tool-2'])
    expect(s.nodes.get('a')?.text).toBe('I ask. Then…')
    s = take(s, [step('turn-2')])
    expect(s.nodes.get('a')?.text).toBe('')
    expect(saying(s.nodes.get('a'))).toBe('Facts')
  })
  it('shows any moment of the past from the events until then', () => {
    seq = 0
    const events = [node(1, 'a', 'running'), node(5, 'a', 'failed', { message: 'no' })]
    expect(take(emptyRun(), events.slice(0, 1)).nodes.get('a')?.status).toBe('running')
    expect(take(emptyRun(), events).nodes.get('a')).toMatchObject({ status: 'failed', message: 'no' })
  })
  it('finds the critical path', () => {
    seq = 0
    const s = take(emptyRun(), [
      node(0, 'start', 'completed', { duration_ms: 0 }),
      node(0, 'slow', 'running'),
      node(0, 'fast', 'running'),
      node(10, 'fast', 'completed', { duration_ms: 10 }),
      node(50, 'slow', 'completed', { duration_ms: 50 }),
      node(60, 'end', 'completed', { duration_ms: 10 }),
    ])
    const lines = [
      { source: 'start', target: 'slow' },
      { source: 'start', target: 'fast' },
      { source: 'slow', target: 'end' },
      { source: 'fast', target: 'end' },
    ]
    expect([...criticalPath(s, lines, new Map())]).toEqual(['end', 'slow', 'start'])
    expect(bars(s, 0).map((b) => b.nodeId)).toEqual(['start', 'fast', 'slow', 'end'])
  })
})
