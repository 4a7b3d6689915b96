import type { Schema } from '@/api/client'
import type { Graph, Node } from '@/canvas/graph'

/** What of a workflow is edited. */
export interface Draft extends Graph {
  name: string
  description: string
  tags: string[]
  settings: Schema['workflow.Settings']
  tests: Schema['workflow.TestCase'][]
}

/** The part of a stored workflow that is edited, without what the server adds. */
export function draftOf(w: Schema['Workflow']): Draft {
  return {
    name: w.name,
    description: w.description ?? '',
    tags: w.tags ?? [],
    settings: w.settings,
    tests: w.tests ?? [],
    nodes: (w.nodes ?? []).map(({ type: _, webhook_url: __, ...n }): Node => n),
    connections: w.connections ?? [],
  }
}

export function definitionDraft(d: Schema['workflow.Definition']): Draft {
  return { name: d.name, description: d.description ?? '', tags: d.tags ?? [], settings: d.settings ?? {}, tests: d.tests ?? [], nodes: d.nodes ?? [], connections: d.connections ?? [] }
}

/** A draft as text, for people to compare. */
export function textOf(d: Draft): string {
  const { nodes, ...rest } = d
  return JSON.stringify({ ...rest, nodes: nodes.map(({ position: _, ...n }) => n) }, null, 2)
}
