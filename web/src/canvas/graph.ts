import type { Schema } from '@/api/client'

/** What a workflow is made of, and every change of it: pure functions. */
export type Kind = Schema['NodeKind']
export type Node = Schema['workflow.Node']
export type Connection = Schema['workflow.Connection']

export interface Graph {
  nodes: Node[]
  connections: Connection[]
}

export interface Point {
  x: number
  y: number
}

export const nodeWidth = 184
export const nodeHeight = 56
/** What a group keeps free around its nodes. */
export const groupPad = { top: 52, side: 20, bottom: 20 }

export type Kinds = ReadonlyMap<string, Kind>

export function nodeOf(g: Graph, id: string): Node | undefined {
  return g.nodes.find((n) => n.id === id)
}

export function titleOf(n: Node, kinds: Kinds): string {
  return n.title || kinds.get(n.kind)?.title || n.kind
}

/** The outputs a node has: of its kind, of its cases, and for its errors. */
export function handlesOf(n: Node, kinds: Kinds): { name: string; title: string }[] {
  const kind = kinds.get(n.kind)
  const out = (kind?.outputs ?? [{ name: 'output' }]).map((h) => ({ name: h.name, title: h.title ?? h.name }))
  const cases = n.config?.['cases']
  if (Array.isArray(cases)) {
    const named = cases.map((c: unknown) => String((c as { name?: unknown } | null)?.name ?? '')).filter(Boolean)
    out.unshift(...[...new Set(named)].map((name) => ({ name, title: name })))
  }
  if (n.on_error === 'branch') out.push({ name: 'error', title: 'error' })
  return out
}

export function takesInput(n: Node, kinds: Kinds): boolean {
  return !kinds.get(n.kind)?.no_input
}

/** A free id that says what the node is: agent, agent-2, agent-3. */
export function freshId(taken: Iterable<string>, wish: string): string {
  const used = new Set(taken)
  const base = wish.replace(/-trigger$/, '').replace(/[^A-Za-z0-9_-]/g, '_') || 'node'
  if (!used.has(base)) return base
  for (let i = 2; ; i++) if (!used.has(`${base}_${i}`)) return `${base}_${i}`
}

/** The config a new node starts with: what its schema has as defaults and must have. */
export function startConfig(kind: Kind): Record<string, unknown> {
  const schema = kind.config_schema as { properties?: Record<string, { default?: unknown; enum?: unknown[]; type?: string }>; required?: string[] } | undefined
  const out: Record<string, unknown> = {}
  for (const name of schema?.required ?? []) {
    const p = schema?.properties?.[name]
    if (p?.enum?.length) out[name] = p.default ?? p.enum[0]
    else if (p?.type === 'array') out[name] = []
    else if (p?.type === 'object') out[name] = {}
    else if (p?.type === 'string') out[name] = ''
  }
  return out
}

export function newNode(g: Graph, kind: Kind & { start?: Record<string, unknown> }, position: Point, parent?: string): Node {
  const config = { ...startConfig(kind), ...kind.start }
  return {
    id: freshId(
      g.nodes.map((n) => n.id),
      kind.kind,
    ),
    kind: kind.kind,
    title: kind.title,
    position: round(position),
    ...(Object.keys(config).length ? { config } : {}),
    ...(parent ? { parent_id: parent } : {}),
  }
}

export function round(p: Point): Point {
  return { x: Math.round(p.x / 4) * 4, y: Math.round(p.y / 4) * 4 }
}

export function addNode(g: Graph, node: Node): Graph {
  return { ...g, nodes: [...g.nodes, node] }
}

export function same(a: Connection, b: Connection): boolean {
  return a.source === b.source && a.target === b.target && (a.source_handle || 'output') === (b.source_handle || 'output')
}

/** Why two nodes cannot be connected, or ''. */
export function refusal(g: Graph, c: Connection, kinds: Kinds): '' | 'self' | 'twice' | 'trigger' | 'cycle' | 'group' | 'gone' {
  const from = nodeOf(g, c.source)
  const to = nodeOf(g, c.target)
  if (!from || !to) return 'gone'
  if (c.source === c.target) return 'self'
  if (!takesInput(to, kinds)) return 'trigger'
  if ((from.parent_id ?? '') !== (to.parent_id ?? '')) return 'group'
  if (g.connections.some((x) => same(x, c))) return 'twice'
  if (reaches(g, c.target, c.source)) return 'cycle'
  return ''
}

export function reaches(g: Graph, from: string, to: string): boolean {
  const seen = new Set<string>()
  const open = [from]
  for (let id = open.pop(); id !== undefined; id = open.pop()) {
    if (id === to) return true
    if (seen.has(id)) continue
    seen.add(id)
    for (const c of g.connections) if (c.source === id) open.push(c.target)
  }
  return false
}

export function connect(g: Graph, c: Connection, kinds: Kinds): Graph {
  if (refusal(g, c, kinds)) return g
  const { source_handle, ...rest } = c
  return { ...g, connections: [...g.connections, { ...rest, ...(source_handle && source_handle !== 'output' ? { source_handle } : {}) }] }
}

export function disconnect(g: Graph, gone: Connection[]): Graph {
  return { ...g, connections: g.connections.filter((c) => !gone.some((x) => same(x, c))) }
}

/** Puts a node into a connection: a → b becomes a → node → b. */
export function insertOn(g: Graph, c: Connection, node: Node, kinds: Kinds): Graph {
  let out = addNode(disconnect(g, [c]), node)
  out = connect(out, { source: c.source, target: node.id, ...(c.source_handle ? { source_handle: c.source_handle } : {}) }, kinds)
  const first = handlesOf(node, kinds)[0]?.name ?? 'output'
  return connect(out, { source: node.id, target: c.target, source_handle: first }, kinds)
}

/** The nodes and all that is inside of them. */
export function withInside(g: Graph, ids: Iterable<string>): Set<string> {
  const out = new Set(ids)
  for (let grown = true; grown; ) {
    grown = false
    for (const n of g.nodes) {
      if (n.parent_id && out.has(n.parent_id) && !out.has(n.id)) {
        out.add(n.id)
        grown = true
      }
    }
  }
  return out
}

/** Removes nodes; what led into a removed one goes on to what came behind it. */
export function removeNodes(g: Graph, ids: Iterable<string>, kinds: Kinds): Graph {
  const gone = withInside(g, ids)
  let out: Graph = {
    nodes: g.nodes.filter((n) => !gone.has(n.id)),
    connections: g.connections.filter((c) => !gone.has(c.source) && !gone.has(c.target)),
  }
  for (const id of gone) {
    const before = g.connections.filter((c) => c.target === id && !gone.has(c.source))
    const behind = g.connections.filter((c) => c.source === id && !gone.has(c.target))
    if (before.length === 1 && behind.length === 1 && before[0] && behind[0]) {
      out = connect(out, { ...before[0], target: behind[0].target }, kinds)
    }
  }
  return out
}

export function changeNode(g: Graph, id: string, change: Partial<Node>): Graph {
  return {
    ...g,
    nodes: g.nodes.map((n) => {
      if (n.id !== id) return n
      const out = { ...n, ...change }
      for (const key of Object.keys(out) as (keyof Node)[]) if (out[key] === undefined) delete out[key]
      return out
    }),
  }
}

export function moveNodes(g: Graph, to: ReadonlyMap<string, Point>): Graph {
  return { ...g, nodes: g.nodes.map((n) => (to.has(n.id) ? { ...n, position: round(to.get(n.id) ?? { x: 0, y: 0 }) } : n)) }
}

/** Connections whose handle is no longer there. */
export function dropLostHandles(g: Graph, id: string, kinds: Kinds): Graph {
  const n = nodeOf(g, id)
  if (!n) return g
  const known = new Set(handlesOf(n, kinds).map((h) => h.name))
  const connections = g.connections.filter((c) => c.source !== id || known.has(c.source_handle || 'output'))
  return connections.length === g.connections.length ? g : { ...g, connections }
}

/** The nodes whose output a node can use, nearest first. */
export function upstream(g: Graph, id: string): Node[] {
  const out: Node[] = []
  const seen = new Set([id])
  let level = [id]
  while (level.length) {
    const next: string[] = []
    for (const at of level) {
      const sources = g.connections.filter((c) => c.target === at).map((c) => c.source)
      const parent = nodeOf(g, at)?.parent_id
      // What is inside a group sees what comes before the group.
      if (parent) sources.push(...g.connections.filter((c) => c.target === parent).map((c) => c.source))
      for (const s of sources) {
        if (seen.has(s)) continue
        seen.add(s)
        next.push(s)
        const n = nodeOf(g, s)
        if (n) out.push(n)
      }
    }
    // Through a group's own id one gets no further: its parents were added.
    level = next
  }
  return out
}

export interface Size {
  width: number
  height: number
}

/** How large a node is drawn; a group is as large as what is in it needs. */
export function sizeOf(g: Graph, n: Node, kinds: Kinds): Size {
  if (!kinds.get(n.kind)?.container) return { width: nodeWidth, height: heightOf(n, kinds) }
  let width = 280
  let height = 140
  for (const child of g.nodes) {
    if (child.parent_id !== n.id) continue
    const s = sizeOf(g, child, kinds)
    width = Math.max(width, (child.position?.x ?? 0) + s.width + groupPad.side)
    height = Math.max(height, (child.position?.y ?? 0) + s.height + groupPad.bottom)
  }
  return { width, height }
}

/** Where a node stands on the canvas, whatever it is inside of. */
export function originOf(g: Graph, id: string): Point {
  const at = { x: 0, y: 0 }
  for (let n = nodeOf(g, id); n; n = n.parent_id ? nodeOf(g, n.parent_id) : undefined) {
    at.x += n.position?.x ?? 0
    at.y += n.position?.y ?? 0
  }
  return at
}

/** The innermost group a point of the canvas lies in. */
export function groupAt(g: Graph, at: Point, kinds: Kinds): Node | undefined {
  const inside = (n: Node) => {
    const from = originOf(g, n.id)
    const size = sizeOf(g, n, kinds)
    return at.x > from.x && at.y > from.y && at.x < from.x + size.width && at.y < from.y + size.height
  }
  let found: Node | undefined
  for (let next = g.nodes.filter((n) => !n.parent_id); ; ) {
    const group = next.find((n) => kinds.get(n.kind)?.container && inside(n))
    if (!group) return found
    found = group
    next = g.nodes.filter((n) => n.parent_id === group.id)
  }
}

export function heightOf(n: Node, kinds: Kinds): number {
  const handles = handlesOf(n, kinds).length
  return handles > 1 ? nodeHeight + handles * 22 + 4 : nodeHeight
}

/** Whether nodes of one group lie over each other: a drawing nobody has made. */
export function overlaps(g: Graph, kinds: Kinds): boolean {
  const byGroup = new Map<string, { x: number; y: number; w: number; h: number }[]>()
  for (const n of g.nodes) {
    const s = sizeOf(g, n, kinds)
    const box = { x: n.position?.x ?? 0, y: n.position?.y ?? 0, w: s.width, h: s.height }
    const group = byGroup.get(n.parent_id ?? '') ?? []
    if (n.parent_id && (box.x < 0 || box.y < groupPad.top - 12)) return true
    if (group.some((o) => box.x < o.x + o.w && o.x < box.x + box.w && box.y < o.y + o.h && o.y < box.y + box.h)) return true
    group.push(box)
    byGroup.set(n.parent_id ?? '', group)
  }
  return false
}

/** Between nodes of a drawing, from left to right and from top to bottom. */
const gap = { x: 72, y: 24 }

/**
 * Makes room for a node that was put among others: what comes behind it moves
 * to the right, and it goes below what else is in its way. Nothing else moves.
 */
export function makeRoom(g: Graph, id: string, kinds: Kinds): Graph {
  const n = nodeOf(g, id)
  if (!n) return g
  const box = (m: Node) => ({ x: m.position?.x ?? 0, y: m.position?.y ?? 0, ...sizeOf(g, m, kinds) })
  type Box = ReturnType<typeof box>
  const meet = (a: Box, b: Box) => a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height
  const others = g.nodes.filter((m) => m.id !== id && m.parent_id === n.parent_id)
  const behind = others.filter((m) => reaches(g, id, m.id))
  const mine = box(n)
  const wide = { ...mine, width: mine.width + gap.x / 2 }
  const push = Math.max(0, ...behind.filter((m) => meet(wide, box(m))).map((m) => mine.x + mine.width + gap.x - box(m).x))
  const to = new Map<string, Point>()
  if (push > 0) for (const m of behind) to.set(m.id, round({ x: box(m).x + push, y: box(m).y }))
  const still = others.filter((m) => !to.has(m.id)).map(box)
  for (let o = still.find((m) => meet(mine, m)), tries = 0; o && tries < 100; o = still.find((m) => meet(mine, m)), tries++) mine.y = o.y + o.height + gap.y
  if (mine.y !== (n.position?.y ?? 0)) to.set(id, round({ x: mine.x, y: mine.y }))
  const moved = to.size > 0 ? moveNodes(g, to) : g
  return n.parent_id ? makeRoom(moved, n.parent_id, kinds) : moved
}

export type Edge = 'left' | 'centre' | 'right' | 'top' | 'middle' | 'bottom'

/** Where nodes go to stand in one line. */
export function align(g: Graph, ids: string[], edge: Edge, kinds: Kinds): Graph {
  const list = g.nodes.filter((n) => ids.includes(n.id))
  if (list.length < 2) return g
  const boxes = list.map((n) => ({ n, ...sizeOf(g, n, kinds), x: n.position?.x ?? 0, y: n.position?.y ?? 0 }))
  const left = Math.min(...boxes.map((b) => b.x))
  const right = Math.max(...boxes.map((b) => b.x + b.width))
  const top = Math.min(...boxes.map((b) => b.y))
  const bottom = Math.max(...boxes.map((b) => b.y + b.height))
  const to = new Map<string, Point>()
  for (const b of boxes) {
    const x = edge === 'left' ? left : edge === 'right' ? right - b.width : edge === 'centre' ? (left + right - b.width) / 2 : b.x
    const y = edge === 'top' ? top : edge === 'bottom' ? bottom - b.height : edge === 'middle' ? (top + bottom - b.height) / 2 : b.y
    to.set(b.n.id, { x, y })
  }
  return moveNodes(g, to)
}

const margin = 24

/**
 * How many pixels to the left what is drawn has to move to be seen in a canvas of
 * that width: no further than until its own left edge is there. x and zoom are
 * the viewport's.
 */
export function roomAt(drawn: { x: number; width: number }, x: number, zoom: number, width: number): number {
  const left = x + drawn.x * zoom
  const right = left + drawn.width * zoom
  return Math.max(0, Math.round(Math.min(right + margin - width, left - margin)))
}
