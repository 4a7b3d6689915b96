import { useSyncExternalStore } from 'react'

export type Theme = 'system' | 'light' | 'dark'

const key = 'studio.theme'
const system = matchMedia('(prefers-color-scheme: dark)')
const listeners = new Set<() => void>()

function stored(): Theme {
  try {
    const value = localStorage.getItem(key)
    return value === 'light' || value === 'dark' ? value : 'system'
  } catch {
    return 'system'
  }
}

let current = stored()

function apply(): void {
  document.documentElement.dataset['theme'] = current === 'system' ? (system.matches ? 'dark' : 'light') : current
  for (const listener of listeners) listener()
}

system.addEventListener('change', apply)

export function setTheme(theme: Theme): void {
  current = theme
  try {
    localStorage.setItem(key, theme)
  } catch {
    // It lasts until the page is closed, then.
  }
  apply()
}

export function useTheme(): Theme {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    () => current,
  )
}
