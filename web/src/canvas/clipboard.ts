import { freshId, withInside, type Connection, type Graph, type Node, type Point } from './graph'

interface Clip {
  agentstudio: 'nodes'
  nodes: Node[]
  connections: Connection[]
}

/** The chosen nodes, with what is inside of them and runs between them, as JSON. */
export function copy(g: Graph, ids: Iterable<string>): string {
  const chosen = withInside(g, ids)
  const clip: Clip = {
    agentstudio: 'nodes',
    nodes: g.nodes.filter((n) => chosen.has(n.id)),
    connections: g.connections.filter((c) => chosen.has(c.source) && chosen.has(c.target)),
  }
  return JSON.stringify(clip, null, 2)
}

export function read(text: string): Graph | undefined {
  try {
    const clip = JSON.parse(text) as Partial<Clip>
    if (!Array.isArray(clip.nodes) || !clip.nodes.every((n) => typeof n?.id === 'string' && typeof n.kind === 'string')) return undefined
    return { nodes: clip.nodes, connections: Array.isArray(clip.connections) ? clip.connections : [] }
  } catch {
    return undefined
  }
}

/**
 * Adds copied nodes: with new ids where theirs are taken, references among them
 * following; at a point, or a step away from where they came from.
 */
export function paste(g: Graph, clip: Graph, at?: Point): { graph: Graph; ids: string[] } {
  const taken = new Set(g.nodes.map((n) => n.id))
  const names = new Map<string, string>()
  for (const n of clip.nodes) {
    const id = freshId(taken, n.id)
    taken.add(id)
    names.set(n.id, id)
  }
  const outer = clip.nodes.filter((n) => !n.parent_id || !names.has(n.parent_id))
  const left = Math.min(...outer.map((n) => n.position?.x ?? 0))
  const top = Math.min(...outer.map((n) => n.position?.y ?? 0))
  const by = at ? { x: at.x - left, y: at.y - top } : { x: 32, y: 32 }
  const nodes = clip.nodes.map((n): Node => {
    const inside = n.parent_id !== undefined && names.has(n.parent_id)
    const { parent_id, ...rest } = n
    const position = { x: (n.position?.x ?? 0) + (inside ? 0 : by.x), y: (n.position?.y ?? 0) + (inside ? 0 : by.y) }
    const parent = inside && parent_id ? names.get(parent_id) : g.nodes.some((x) => x.id === parent_id) ? parent_id : undefined
    return {
      ...rest,
      id: names.get(n.id) ?? n.id,
      position,
      ...(parent ? { parent_id: parent } : {}),
      ...(n.config ? { config: follow(n.config, names) as Record<string, unknown> } : {}),
    }
  })
  const connections = clip.connections
    .filter((c) => names.has(c.source) && names.has(c.target))
    .map(({ id: _, ...c }): Connection => ({ ...c, source: names.get(c.source) ?? '', target: names.get(c.target) ?? '' }))
  return { graph: { nodes: [...g.nodes, ...nodes], connections: [...g.connections, ...connections] }, ids: nodes.map((n) => n.id) }
}

/** Rewrites nodes.old. to nodes.new. wherever an expression may stand. */
export function follow(value: unknown, names: ReadonlyMap<string, string>): unknown {
  if (typeof value === 'string') return value.replace(/\bnodes\.([A-Za-z0-9_-]+)/g, (all, id: string) => (names.has(id) ? `nodes.${names.get(id)}` : all))
  if (Array.isArray(value)) return value.map((v) => follow(v, names))
  if (value && typeof value === 'object') return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, follow(v, names)]))
  return value
}
