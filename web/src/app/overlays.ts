import { useSyncExternalStore } from 'react'

/** Which of the things that lie over every page is open. */
export type Overlay = 'palette' | 'keys' | null

let open: Overlay = null
const listeners = new Set<() => void>()

export function show(overlay: Overlay): void {
  open = overlay
  for (const listener of listeners) listener()
}

export function useOverlay(): Overlay {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    () => open,
  )
}
