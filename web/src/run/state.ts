import type { LiveEvent } from '@/api/live'

/** How a run stands, as a function of the events told so far. */
export interface NodeRun {
  status: string
  /** Of a node that runs several times: how often in which state. */
  counts: Record<string, number>
  iterations: Map<string, { id: string; status: string; attempt: number; startedAt: number; endedAt: number; message?: string }>
  /** What the model is saying just now. */
  text: string
  /** What the agents say that this one has called, by the step they run in. */
  called: ReadonlyMap<string, { agent: string; text: string }>
  message?: string
}

export interface LogLine {
  seq: number
  at: string
  level: string
  message: string
  nodeId: string
  iteration: string
}

export interface StepRun {
  nodeId: string
  iteration: string
  name: string
  kind: string
  title: string
  failed: boolean
  durationMs: number
  at: number
}

export interface RunState {
  status: string
  progress: number
  completed: number
  total: number
  lastSeq: number
  nodes: Map<string, NodeRun>
  logs: LogLine[]
  steps: StepRun[]
  startedAt: number
  endedAt: number
}

export function emptyRun(): RunState {
  return { status: 'pending', progress: 0, completed: 0, total: 0, lastSeq: 0, nodes: new Map(), logs: [], steps: [], startedAt: 0, endedAt: 0 }
}

const over = new Set(['completed', 'failed', 'cancelled'])

export function isOver(status: string): boolean {
  return over.has(status)
}

/** The worst that one of a node's runs is in, for the one sign on the canvas. */
const rank = ['failed', 'running', 'waiting', 'paused', 'pending', 'cancelled', 'completed', 'skipped']

function overall(counts: Record<string, number>): string {
  return rank.find((s) => counts[s]) ?? 'pending'
}

interface NodeData {
  node_execution_id: string
  node_id: string
  iteration?: string
  status: string
  attempt?: number
  duration_ms?: number
  message?: string
  name?: string
  kind?: string
  title?: string
  failed?: boolean
}

/** Takes events in; the state given stays as it is. Deltas have no seq. */
export function take(before: RunState, events: readonly LiveEvent[]): RunState {
  if (events.length === 0) return before
  const s: RunState = { ...before }
  let logs: LogLine[] | undefined
  let steps: StepRun[] | undefined
  const owned = new Set<string>()
  const node = (id: string): NodeRun => {
    const was = s.nodes.get(id)
    if (was && owned.has(id)) return was
    const mine: NodeRun = was ? { ...was, counts: { ...was.counts }, iterations: new Map(was.iterations) } : { status: 'pending', counts: {}, iterations: new Map(), text: '', called: new Map() }
    if (owned.size === 0) s.nodes = new Map(s.nodes)
    s.nodes.set(id, mine)
    owned.add(id)
    return mine
  }
  for (const e of events) {
    if (e.seq !== undefined) {
      if (e.seq <= s.lastSeq) continue
      s.lastSeq = e.seq
    }
    const at = new Date(e.timestamp).getTime()
    if (e.type === 'execution_update') {
      const d = e.data as { status?: string; progress_percentage?: number; completed_nodes?: number; total_nodes?: number }
      s.status = d.status ?? s.status
      s.progress = d.progress_percentage ?? s.progress
      s.completed = d.completed_nodes ?? s.completed
      s.total = d.total_nodes ?? s.total
      if (!s.startedAt) s.startedAt = at
      if (isOver(s.status)) s.endedAt = at
    } else if (e.type === 'node_update' && e.event === 'step_completed') {
      const d = e.data as unknown as NodeData
      steps ??= [...s.steps]
      steps.push({ nodeId: d.node_id, iteration: d.iteration ?? '', name: d.name ?? '', kind: d.kind ?? '', title: d.title ?? '', failed: d.failed ?? false, durationMs: d.duration_ms ?? 0, at })
      const n = node(d.node_id)
      const name = d.name ?? ''
      const left = [...n.called].filter(([step]) => name !== step && !name.startsWith(step + '/'))
      if (left.length === n.called.size) n.text = ''
      else n.called = new Map(left)
    } else if (e.type === 'node_update') {
      const d = e.data as unknown as NodeData
      if (!d.status) continue
      const n = node(d.node_id)
      const key = d.iteration ?? ''
      const was = n.iterations.get(key)
      if (was) n.counts[was.status] = (n.counts[was.status] ?? 1) - 1
      n.counts[d.status] = (n.counts[d.status] ?? 0) + 1
      const ended = isOver(d.status) || d.status === 'skipped'
      n.iterations.set(key, {
        id: d.node_execution_id,
        status: d.status,
        attempt: d.attempt ?? 1,
        startedAt: ended && d.duration_ms !== undefined && !was ? at - d.duration_ms : (was?.startedAt ?? at),
        endedAt: ended ? at : 0,
        ...(d.message ? { message: d.message } : {}),
      })
      n.status = overall(n.counts)
      if (d.message) n.message = d.message
      if (ended) {
        n.text = ''
        n.called = new Map()
      }
    } else if (e.type === 'node_output') {
      const d = e.data as { node_id: string; kind: string; text?: string; agent?: string; step?: string }
      if (d.kind !== 'text' || !d.text) continue
      const n = node(d.node_id)
      if (d.agent) n.called = new Map(n.called).set(d.step ?? d.agent, { agent: d.agent, text: ((n.called.get(d.step ?? d.agent)?.text ?? '') + d.text).slice(-20_000) })
      else n.text = (n.text + d.text).slice(-20_000)
    } else if (e.type === 'log') {
      const d = e.data as { node_id?: string; iteration?: string; level: string; message: string }
      logs ??= [...s.logs]
      logs.push({ seq: e.seq ?? 0, at: e.timestamp, level: d.level, message: d.message, nodeId: d.node_id ?? '', iteration: d.iteration ?? '' })
    }
  }
  if (logs) s.logs = logs
  if (steps) s.steps = steps
  return s
}

/** What is being said in a node just now, by whoever speaks. */
export function saying(n: NodeRun | undefined): string {
  return n?.text || ([...(n?.called.values() ?? [])].at(-1)?.text ?? '')
}

export interface Bar {
  nodeId: string
  iteration: string
  status: string
  from: number
  to: number
}

/** The bars of a timeline, in the order in which they began. */
export function bars(s: RunState, now: number): Bar[] {
  const out: Bar[] = []
  for (const [nodeId, n] of s.nodes)
    for (const [iteration, r] of n.iterations) if (r.status !== 'skipped' && r.startedAt) out.push({ nodeId, iteration, status: r.status, from: r.startedAt, to: r.endedAt || now })
  return out.sort((a, b) => a.from - b.from || a.to - b.to)
}

/**
 * The nodes on which the length of the run hung: from the one that ended last
 * back to the latest end among those that lead to it.
 */
export function criticalPath(s: RunState, connections: readonly { source: string; target: string }[], parents: ReadonlyMap<string, string>): Set<string> {
  const end = (id: string) => Math.max(0, ...[...(s.nodes.get(id)?.iterations.values() ?? [])].map((r) => (r.status === 'skipped' ? 0 : r.endedAt)))
  const latest = (ids: Iterable<string>) => {
    let best = ''
    for (const id of ids) if (end(id) > 0 && (!best || end(id) > end(best))) best = id
    return best
  }
  const path = new Set<string>()
  const outer = [...s.nodes.keys()].filter((id) => !parents.get(id))
  const sinks = outer.filter((id) => !connections.some((c) => c.source === id && end(c.target) > 0))
  for (let at = latest(sinks); at && !path.has(at); ) {
    path.add(at)
    const group = at
    const inside = [...s.nodes.keys()].filter((id) => parents.get(id) === group)
    for (let inner = latest(inside); inner && !path.has(inner); inner = latest(connections.filter((c) => c.target === inner).map((c) => c.source))) path.add(inner)
    const next = at
    at = latest(connections.filter((c) => c.target === next).map((c) => c.source))
  }
  return path
}
