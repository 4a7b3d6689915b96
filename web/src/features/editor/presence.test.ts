import { describe, expect, it } from 'vitest'
import { goneAfter, hear, present, type Peers } from './presence'
import type { LiveEvent } from '@/api/live'

const told = (event: string, connection: string, more: object = {}): LiveEvent => ({ room_id: 'workflow:1', type: 'presence', event, timestamp: '', data: { connection_id: connection, user_id: 'u', name: 'Ada Byron', ...more } })

describe('the others in a workflow', () => {
  it('come, move and go; oneself is not among them', () => {
    let peers: Peers = new Map()
    for (const e of [told('joined', 'a'), told('joined', 'me'), told('joined', 'b', { node_id: 'n' }), told('moved', 'a', { x: 3, y: 0 }), told('left', 'b')]) peers = hear(peers, e, 'me', 5)
    expect([...peers.values()]).toEqual([{ id: 'a', userId: 'u', name: 'Ada Byron', heard: 5, at: { x: 3, y: 0 } }])
    expect(hear(peers, { ...told('left', 'a'), type: 'workflow_update' }, 'me', 5)).toBe(peers)
  })
  it('are gone when nothing was heard of them for long', () => {
    const peers = hear(hear(new Map(), told('joined', 'a'), 'me', 0), told('joined', 'b'), 'me', goneAfter - 1)
    expect([...present(peers, goneAfter).keys()]).toEqual(['b'])
    expect(present(peers, 1)).toBe(peers)
  })
})
