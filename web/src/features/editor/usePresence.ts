import { useEffect, useRef, useState } from 'react'
import { hear, present, type Peers, type PresenceData } from './presence'
import { useRoom } from '@/api/hooks'
import { live } from '@/api/socket'
import type { Point } from '@/canvas/graph'

const sayEvery = 25_000
/** The pointer is told at most so often. */
const pace = 80

/** Tells the others where one stands, and who else is there. */
export function usePresence(workflow: string, node: string | undefined): { peers: Peers; point: (at: Point | undefined) => void } {
  const room = `workflow:${workflow}`
  const [peers, setPeers] = useState<Peers>(new Map())
  const here = useRef<{ at?: Point | undefined; node?: string | undefined }>({})
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined)
  const say = useRef(() => {})
  say.current = () => {
    clearTimeout(timer.current)
    timer.current = undefined
    const { at, node: chosen } = here.current
    live.say(room, { type: 'presence', ...(at ? { x: Math.round(at.x), y: Math.round(at.y) } : {}), ...(chosen ? { node_id: chosen } : {}) })
  }
  const soon = useRef(() => {
    timer.current ??= setTimeout(() => say.current(), pace)
  })
  useRoom(room, {
    event: (e) => {
      if (e.type !== 'presence') return
      setPeers((was) => hear(was, e, live.connection, Date.now()))
      // Who comes does not know of us yet.
      if (e.event === 'joined' && (e.data as unknown as PresenceData).connection_id !== live.connection) soon.current()
    },
    // The connection is new: so is whoever is heard on it.
    missed: () => {
      setPeers(new Map())
      say.current()
    },
  })
  useEffect(() => {
    const beat = setInterval(() => {
      setPeers((was) => present(was, Date.now()))
      if (!document.hidden) say.current()
    }, sayEvery)
    return () => {
      clearInterval(beat)
      clearTimeout(timer.current)
      timer.current = undefined
    }
  }, [room])
  useEffect(() => {
    if (here.current.node === node) return
    here.current.node = node
    soon.current()
  }, [node])
  const point = useRef((at: Point | undefined) => {
    here.current.at = at
    soon.current()
  })
  return { peers, point: point.current }
}
