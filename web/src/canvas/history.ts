/** All that was done, and can be undone and done again, without an end. */
export interface History<T> {
  past: readonly T[]
  present: T
  future: readonly T[]
  /** Changes with the same key that follow each other are one step. */
  key: string
}

export function begin<T>(present: T): History<T> {
  return { past: [], present, future: [], key: '' }
}

export function push<T>(h: History<T>, next: T, key = ''): History<T> {
  if (next === h.present) return h
  if (key && key === h.key) return { ...h, present: next, future: [] }
  return { past: [...h.past, h.present], present: next, future: [], key }
}

/** Ends a run of changes with one key: the next is a step of its own. */
export function settle<T>(h: History<T>): History<T> {
  return h.key ? { ...h, key: '' } : h
}

export function undo<T>(h: History<T>): History<T> {
  const before = h.past.at(-1)
  if (h.past.length === 0 || before === undefined) return h
  return { past: h.past.slice(0, -1), present: before, future: [h.present, ...h.future], key: '' }
}

export function redo<T>(h: History<T>): History<T> {
  const [next, ...rest] = h.future
  if (next === undefined) return h
  return { past: [...h.past, h.present], present: next, future: rest, key: '' }
}
