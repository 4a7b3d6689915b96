import type { LiveEvent } from '@/api/live'
import type { Point } from '@/canvas/graph'

/** Somebody else who has the workflow open: one for each window. */
export interface Peer {
  id: string
  userId: string
  name: string
  at?: Point
  node?: string
  heard: number
}

export type Peers = ReadonlyMap<string, Peer>

export interface PresenceData {
  connection_id: string
  user_id: string
  name: string
  x?: number
  y?: number
  node_id?: string
}

/** Who is there says so now and then; who has not for so long is gone, in milliseconds. */
export const goneAfter = 60_000
/** Who is there after an event; mine is the connection one has oneself. */
export function hear(peers: Peers, e: LiveEvent, mine: string, now: number): Peers {
  const d = e.data as unknown as PresenceData
  if (e.type !== 'presence' || d.connection_id === mine) return peers
  const next = new Map(peers)
  if (e.event === 'left') next.delete(d.connection_id)
  else
    next.set(d.connection_id, {
      id: d.connection_id,
      userId: d.user_id,
      name: d.name,
      heard: now,
      ...(d.x !== undefined && d.y !== undefined ? { at: { x: d.x, y: d.y } } : {}),
      ...(d.node_id ? { node: d.node_id } : {}),
    })
  return next
}

/** Those who have been heard of lately. */
export function present(peers: Peers, now: number): Peers {
  const still = [...peers].filter(([, p]) => now - p.heard < goneAfter)
  return still.length === peers.size ? peers : new Map(still)
}
