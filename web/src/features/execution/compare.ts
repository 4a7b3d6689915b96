import type { Schema } from '@/api/client'

type Ran = Pick<Schema['NodeExecution'], 'node_id' | 'node_name' | 'iteration' | 'status' | 'output' | 'duration_ms' | 'cost_usd' | 'tokens'>

export interface Row {
  nodeId: string
  title: string
  before: Ran | undefined
  after: Ran | undefined
  sameStatus: boolean
  sameOutput: boolean
  slowerMs: number
}

/** Two runs, node by node; rounds of loops are compared round by round. */
export function compareRuns(before: readonly Ran[], after: readonly Ran[]): Row[] {
  const key = (r: Ran) => `${r.node_id}\n${r.iteration}`
  const old = new Map(before.map((r) => [key(r), r]))
  const rows: Row[] = []
  const add = (a: Ran | undefined, b: Ran | undefined) => {
    const any = b ?? a
    if (!any) return
    rows.push({
      nodeId: any.node_id,
      title: any.iteration === '' ? any.node_name : `${any.node_name} · ${any.iteration.split('.').map((x) => Number(x) + 1).join(' · ')}`,
      before: a,
      after: b,
      sameStatus: a?.status === b?.status,
      sameOutput: JSON.stringify(a?.output) === JSON.stringify(b?.output),
      slowerMs: (b?.duration_ms ?? 0) - (a?.duration_ms ?? 0),
    })
  }
  for (const r of after) {
    add(old.get(key(r)), r)
    old.delete(key(r))
  }
  for (const r of old.values()) add(r, undefined)
  return rows
}
