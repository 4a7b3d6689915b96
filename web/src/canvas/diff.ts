import type { Graph, Node } from './graph'

export type Change = 'added' | 'removed' | 'changed'

/** What differs between two drawings, by the id of the node. */
export function diffNodes(before: Graph, after: Graph): Map<string, Change> {
  const out = new Map<string, Change>()
  const old = new Map(before.nodes.map((n) => [n.id, n]))
  for (const n of after.nodes) {
    const was = old.get(n.id)
    if (!was) out.set(n.id, 'added')
    else if (meaning(was) !== meaning(n)) out.set(n.id, 'changed')
    old.delete(n.id)
  }
  for (const id of old.keys()) out.set(id, 'removed')
  return out
}

/** What a node says, but for where it stands. */
function meaning({ position: _, ...n }: Node): string {
  return JSON.stringify(sorted(n))
}

function sorted(v: unknown): unknown {
  if (Array.isArray(v)) return v.map(sorted)
  if (v && typeof v === 'object') return Object.fromEntries(Object.entries(v).sort(([a], [b]) => (a < b ? -1 : 1)).map(([k, x]) => [k, sorted(x)]))
  return v
}

export interface TextLine {
  kind: 'same' | 'added' | 'removed'
  text: string
}

/** The lines of two texts beside each other, by their longest common part. */
export function diffLines(before: string, after: string): TextLine[] {
  const a = before.split('\n')
  const b = after.split('\n')
  let head = 0
  while (head < a.length && head < b.length && a[head] === b[head]) head++
  let tail = 0
  while (tail < a.length - head && tail < b.length - head && a[a.length - 1 - tail] === b[b.length - 1 - tail]) tail++
  const x = a.slice(head, a.length - tail)
  const y = b.slice(head, b.length - tail)
  const out: TextLine[] = a.slice(0, head).map((text) => ({ kind: 'same', text }))
  if (x.length * y.length > 4_000_000) {
    out.push(...x.map((text): TextLine => ({ kind: 'removed', text })), ...y.map((text): TextLine => ({ kind: 'added', text })))
  } else {
    const w = y.length + 1
    const t = new Uint32Array((x.length + 1) * w)
    for (let i = x.length - 1; i >= 0; i--)
      for (let j = y.length - 1; j >= 0; j--) t[i * w + j] = x[i] === y[j] ? (t[(i + 1) * w + j + 1] ?? 0) + 1 : Math.max(t[(i + 1) * w + j] ?? 0, t[i * w + j + 1] ?? 0)
    let i = 0
    let j = 0
    while (i < x.length || j < y.length) {
      if (i < x.length && j < y.length && x[i] === y[j]) {
        out.push({ kind: 'same', text: x[i] ?? '' })
        i++
        j++
      } else if (j >= y.length || (i < x.length && (t[(i + 1) * w + j] ?? 0) >= (t[i * w + j + 1] ?? 0))) out.push({ kind: 'removed', text: x[i++] ?? '' })
      else out.push({ kind: 'added', text: y[j++] ?? '' })
    }
  }
  out.push(...a.slice(a.length - tail).map((text): TextLine => ({ kind: 'same', text })))
  return out
}
