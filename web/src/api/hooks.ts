import { useEffect, useRef, useSyncExternalStore } from 'react'
import { session, type User } from './client'
import type { Watcher } from './live'
import { live } from './socket'

/** Who is signed in; null: nobody, undefined: not known yet. */
export function useUser(): User | null | undefined {
  return useSyncExternalStore(session.subscribe, () => session.user)
}

export function useLiveState() {
  return useSyncExternalStore(live.subscribe, () => live.state)
}

/** Watches a room as long as the component is there; no room: nothing. */
export function useRoom(room: string | undefined, watcher: Watcher, after = -1): void {
  const latest = useRef(watcher)
  latest.current = watcher
  const start = useRef(after)
  start.current = after
  useEffect(() => {
    if (!room) return undefined
    return live.watch(
      room,
      {
        event: (e) => latest.current.event(e),
        missed: () => latest.current.missed?.(),
        denied: (message) => latest.current.denied?.(message),
      },
      start.current,
    )
  }, [room])
}
