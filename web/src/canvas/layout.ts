import { groupPad, sizeOf, type Graph, type Kinds, type Node, type Point } from './graph'

const gapX = 72
const gapY = 32

/**
 * A drawing from left to right: each node right of all that lead to it, few
 * lines crossing, the insides of groups first. It moves nodes and nothing else.
 */
export function layout(g: Graph, kinds: Kinds): Graph {
  let out = g
  const depth = (n: Node): number => (n.parent_id ? 1 + depth(out.nodes.find((x) => x.id === n.parent_id) ?? { id: '', kind: '' }) : 0)
  const groups = [...new Set(out.nodes.map((n) => n.parent_id ?? ''))]
  // The innermost first: a group's size is known once its inside lies.
  groups.sort((a, b) => depthOf(b) - depthOf(a))
  function depthOf(id: string): number {
    const n = out.nodes.find((x) => x.id === id)
    return n ? 1 + depth(n) : 0
  }
  for (const group of groups) out = arrange(out, group, kinds)
  return out
}

function arrange(g: Graph, group: string, kinds: Kinds): Graph {
  const members = g.nodes.filter((n) => (n.parent_id ?? '') === group)
  const ids = new Set(members.map((n) => n.id))
  const lines = g.connections.filter((c) => ids.has(c.source) && ids.has(c.target))
  const layers = order(layersOf(members, lines), lines)
  const to = new Map<string, Point>()
  const sizes = new Map(members.map((n) => [n.id, sizeOf(g, n, kinds)]))
  const size = (id: string) => sizes.get(id) ?? { width: 0, height: 0 }
  const heights = layers.map((layer) => layer.reduce((sum, id) => sum + size(id).height + gapY, -gapY))
  const tallest = Math.max(0, ...heights)
  let x = group ? groupPad.side : 0
  const top = group ? groupPad.top : 0
  layers.forEach((layer, i) => {
    let y = top + (tallest - (heights[i] ?? 0)) / 2
    for (const id of layer) {
      to.set(id, { x, y: Math.round(y / 4) * 4 })
      y += size(id).height + gapY
    }
    x += Math.max(0, ...layer.map((id) => size(id).width)) + gapX
  })
  return { ...g, nodes: g.nodes.map((n) => (to.has(n.id) ? { ...n, position: to.get(n.id) ?? { x: 0, y: 0 } } : n)) }
}

type Line = { source: string; target: string }

/** Each node one layer behind the last that leads to it; circles are cut. */
function layersOf(members: Node[], lines: Line[]): string[][] {
  const rank = new Map<string, number>()
  const busy = new Set<string>()
  const into = new Map<string, string[]>()
  for (const l of lines) into.set(l.target, [...(into.get(l.target) ?? []), l.source])
  const visit = (id: string): number => {
    const known = rank.get(id)
    if (known !== undefined) return known
    if (busy.has(id)) return 0
    busy.add(id)
    const at = Math.max(-1, ...(into.get(id) ?? []).map(visit)) + 1
    busy.delete(id)
    rank.set(id, at)
    return at
  }
  const layers: string[][] = []
  for (const n of members) (layers[visit(n.id)] ??= []).push(n.id)
  return Array.from(layers, (l) => l ?? [])
}

/** Sorts each layer by where its neighbours stand, to and fro. */
function order(layers: string[][], lines: Line[]): string[][] {
  const out = layers.map((l) => [...l])
  const place = (layer: string[] | undefined) => new Map((layer ?? []).map((id, i) => [id, i]))
  for (let round = 0; round < 4; round++) {
    const forward = round % 2 === 0
    for (let k = 0; k < out.length; k++) {
      const i = forward ? k : out.length - 1 - k
      const near = place(out[forward ? i - 1 : i + 1])
      if (near.size === 0) continue
      const weight = new Map<string, number>()
      for (const id of out[i] ?? []) {
        const spots = lines.filter((l) => (forward ? l.target : l.source) === id).map((l) => near.get(forward ? l.source : l.target)).filter((v) => v !== undefined)
        weight.set(id, spots.length ? spots.reduce((a, b) => a + b, 0) / spots.length : (out[i]?.indexOf(id) ?? 0))
      }
      out[i]?.sort((a, b) => (weight.get(a) ?? 0) - (weight.get(b) ?? 0))
    }
  }
  return out
}
