import type { Node } from '@/canvas/graph'

/** What an expression can reach, and what it had in the last run. */
export interface Scope {
  trigger: unknown
  /** Upstream nodes, nearest first. */
  nodes: { id: string; title: string; output: unknown; known: boolean }[]
  inLoop: boolean
  item: unknown
  vars: Record<string, unknown>
}

export function scopeOf(upstream: Node[], outputs: ReadonlyMap<string, unknown>, trigger: unknown, inLoop: boolean, vars: Record<string, unknown>): Scope {
  return {
    trigger,
    nodes: upstream.map((n) => ({ id: n.id, title: n.title || n.id, output: outputs.get(n.id), known: outputs.has(n.id) })),
    inLoop,
    item: undefined,
    vars,
  }
}

/**
 * The part of an expression before the caret that is being written, or
 * undefined when the caret stands in plain text.
 */
export function partAt(text: string, caret: number, whole: boolean): { from: number; part: string } | undefined {
  const before = text.slice(0, caret)
  if (!whole) {
    const open = before.lastIndexOf('{{')
    if (open < 0 || before.lastIndexOf('}}') > open) return undefined
  }
  const part = /[A-Za-z_][\w.[\]-]*$/.exec(before)?.[0] ?? ''
  return { from: caret - part.length, part }
}

export interface Offer {
  text: string
  about: string
}

/** What may come next, by what was written so far. */
export function offers(scope: Scope, part: string): Offer[] {
  const out: Offer[] = []
  const add = (text: string, value: unknown, about?: string) => out.push({ text, about: about ?? brief(value) })
  for (const n of scope.nodes) {
    add(`nodes.${n.id}.output`, n.output, n.known ? brief(n.output) : n.title)
    for (const [path, v] of paths(n.output)) add(`nodes.${n.id}.output${path}`, v)
  }
  add('trigger', scope.trigger, brief(scope.trigger))
  for (const [path, v] of paths(scope.trigger)) add(`trigger${path}`, v)
  if (scope.inLoop) {
    add('item', scope.item, 'the item of this round')
    add('index', undefined, 'the number of this round, from 0')
  }
  for (const [name, v] of Object.entries(scope.vars)) add(`vars.${name}`, v)
  const p = part.toLowerCase()
  const starts = out.filter((o) => o.text.toLowerCase().startsWith(p) && o.text !== part)
  const holds = out.filter((o) => !starts.includes(o) && p.length > 1 && o.text.toLowerCase().includes(p))
  return [...starts, ...holds].slice(0, 40)
}

/** Every path into a value, two steps deep and a little of lists. */
function paths(value: unknown, depth = 0, at = ''): [string, unknown][] {
  if (value === null || typeof value !== 'object' || depth > 2) return []
  const entries: [string, unknown][] = Array.isArray(value) ? value.slice(0, 1).map((v): [string, unknown] => ['[0]', v]) : Object.entries(value).map(([k, v]): [string, unknown] => [/^[A-Za-z_]\w*$/.test(k) ? `.${k}` : `["${k}"]`, v])
  return entries.slice(0, 40).flatMap(([step, v]) => [[at + step, v] as [string, unknown], ...paths(v, depth + 1, at + step)])
}

function brief(v: unknown): string {
  if (v === undefined) return ''
  const text = typeof v === 'string' ? v : JSON.stringify(v)
  return text.length > 60 ? text.slice(0, 57) + '…' : text
}

/**
 * The value of a text from the last run's data, as far as plain paths go;
 * undefined when something in it only the server can work out.
 */
export function preview(text: string, scope: Scope, whole: boolean): string | undefined {
  if (whole) {
    const v = lookUp(text.trim(), scope)
    return v.found ? show(v.value) : undefined
  }
  let known = true
  let any = false
  const out = text.replace(/\{\{([\s\S]*?)\}\}/g, (_, inner: string) => {
    any = true
    const v = lookUp(inner.trim(), scope)
    if (!v.found) known = false
    return v.found ? show(v.value) : ''
  })
  return any && known ? out : undefined
}

function show(v: unknown): string {
  return typeof v === 'string' ? v : JSON.stringify(v, null, 1)
}

function lookUp(expression: string, scope: Scope): { found: boolean; value?: unknown } {
  const [path, ...filters] = expression.split('|').map((x) => x.trim())
  if (!path || !/^[A-Za-z_][\w-]*(\.[\w-]+|\[\d+\]|\["[^"]+"\])*$/.test(path)) return { found: false }
  if (filters.some((f) => f !== 'json' && !/^truncate\(\d+\)$/.test(f))) return { found: false }
  const steps = [...path.matchAll(/[\w-]+|"[^"]+"/g)].map((m) => m[0].replace(/"/g, ''))
  let value: unknown
  const [head, ...rest] = steps
  if (head === 'trigger') value = scope.trigger
  else if (head === 'vars') value = scope.vars
  else if (head === 'nodes') {
    const node = scope.nodes.find((n) => n.id === rest[0])
    if (!node?.known || rest[1] !== 'output') return { found: false }
    value = node.output
    rest.splice(0, 2)
  } else return { found: false }
  for (const step of rest) {
    if (value === null || typeof value !== 'object') return { found: false }
    value = (value as Record<string, unknown>)[step]
  }
  if (value === undefined) return { found: false }
  for (const f of filters) {
    if (f === 'json') value = JSON.stringify(value)
    else if (typeof value === 'string') value = value.slice(0, Number(/\d+/.exec(f)?.[0] ?? 0))
  }
  return { found: true, value }
}
