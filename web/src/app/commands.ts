import { useEffect, useRef, useSyncExternalStore } from 'react'
import type { LucideIcon } from 'lucide-react'

/** Something one can do, from the palette, a menu or the keyboard. */
export interface Command {
  id: string
  title: string
  group: string
  icon?: LucideIcon
  /** "mod+k", "shift+?", "g w" (one after the other). */
  keys?: string
  /** Further words it is found by. */
  words?: string
  /** Not offered in the palette: only a key. */
  hidden?: boolean
  /** Also while one types in a field. */
  inFields?: boolean
  run: () => void
}

let all: Command[] = []
const listeners = new Set<() => void>()

export const commands = {
  all: (): Command[] => all,
  /** Adds commands until the function returned is called. Later ones win a key. */
  add(added: Command[]): () => void {
    all = [...all, ...added]
    tell()
    return () => {
      all = all.filter((c) => !added.includes(c))
      tell()
    }
  },
  subscribe(listener: () => void): () => void {
    listeners.add(listener)
    return () => listeners.delete(listener)
  },
}

function tell(): void {
  for (const listener of listeners) listener()
}

/** Offers commands as long as the component is there. */
export function useCommands(list: Command[], deps: unknown[]): void {
  const latest = useRef(list)
  latest.current = list
  useEffect(() => {
    return commands.add(latest.current.map((c) => ({ ...c, run: () => (latest.current.find((x) => x.id === c.id) ?? c).run() })))
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, deps)
}

export function useAllCommands(): Command[] {
  return useSyncExternalStore(commands.subscribe, commands.all)
}

export const mac = /Mac|iP(hone|ad)/.test(navigator.platform)

/** The name of a key press as commands write it. */
export function pressed(e: Pick<KeyboardEvent, 'key' | 'metaKey' | 'ctrlKey' | 'shiftKey' | 'altKey'>, apple = mac): string {
  const parts: string[] = []
  if (apple ? e.metaKey : e.ctrlKey) parts.push('mod')
  if (e.altKey) parts.push('alt')
  const key = e.key.length === 1 ? e.key.toLowerCase() : e.key.toLowerCase()
  // What shift made of a key already says that shift was held, but for letters.
  if (e.shiftKey && (e.key.length > 1 || /[a-z]/i.test(e.key))) parts.push('shift')
  parts.push(key)
  return parts.join('+')
}

/** How a key is shown to people. */
export function keyCaps(keys: string): string[] {
  const names: Record<string, string> = { mod: mac ? '⌘' : 'Ctrl', shift: '⇧', alt: mac ? '⌥' : 'Alt', enter: '↵', escape: 'Esc', delete: 'Del', arrowup: '↑', arrowdown: '↓', arrowleft: '←', arrowright: '→' }
  return keys.split(/[ +]/).map((k) => names[k] ?? (k.length === 1 ? k.toUpperCase() : k.charAt(0).toUpperCase() + k.slice(1)))
}

function inField(target: EventTarget | null): boolean {
  const e = target as HTMLElement | null
  return !!e && (e.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(e.tagName))
}

/** Listens to the keyboard for all commands. */
export function listenToKeys(): () => void {
  let prefix = ''
  let timer = 0
  const listen = (e: KeyboardEvent) => {
    if (e.defaultPrevented || e.isComposing) return
    const now = pressed(e)
    const typing = inField(e.target)
    const modal = document.querySelector('dialog[open]') !== null
    const fits = (c: Command, keys: string) => c.keys?.split(' | ').includes(keys) && (!typing || c.inFields)
    const list = [...all].reverse().filter((c) => !modal || c.inFields)
    const found = (prefix && list.find((c) => fits(c, `${prefix} ${now}`))) || list.find((c) => fits(c, now))
    window.clearTimeout(timer)
    if (found) {
      prefix = ''
      e.preventDefault()
      found.run()
      return
    }
    prefix = !typing && list.some((c) => c.keys?.split(' | ').some((k) => k.startsWith(now + ' '))) ? now : ''
    timer = window.setTimeout(() => (prefix = ''), 1200)
  }
  addEventListener('keydown', listen)
  return () => removeEventListener('keydown', listen)
}
