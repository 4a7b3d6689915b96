import { ReactFlowProvider, useReactFlow } from '@xyflow/react'
import { ArrowLeft, GitCompareArrows, Pause, PenLine, Play, RotateCcw, Square, X } from 'lucide-react'
import { useEffect, useMemo, useState } from 'react'
import { Link, useLocation, useParams } from 'wouter'
import { compareRuns } from './compare'
import { useOtherRuns, useRanVersion } from './queries'
import { Timeline } from './Timeline'
import '@/app/bench.css'
import './execution.css'
import { ApiError } from '@/api/client'
import { Missing } from '@/app/App'
import { useCommands } from '@/app/commands'
import { Canvas } from '@/canvas/Canvas'
import { overlaps, titleOf, type Graph } from '@/canvas/graph'
import { layout } from '@/canvas/layout'
import { useKinds } from '@/canvas/queries'
import { ApprovalCard } from '@/run/ApprovalCard'
import { Inspector } from '@/run/Inspector'
import { JsonView } from '@/run/JsonView'
import { Logs } from '@/run/Logs'
import { isOver, useExecution, useRun, useRunActions, type ExecutionDetail } from '@/run/queries'
import { criticalPath, emptyRun, take } from '@/run/state'
import { ago, count, duration, moment, money } from '@/ui/format'
import { Bones, Button, Dialog, Fault, Field, Menu, Status, StatusIcon, Tabs } from '@/ui/kit'
import { toastError } from '@/ui/toast'
import { t } from '@/text'

export default function ExecutionPage() {
  const { id = '' } = useParams<{ id: string }>()
  return (
    <ReactFlowProvider key={id}>
      <Watching id={id} />
    </ReactFlowProvider>
  )
}

type Tab = 'timeline' | 'logs' | 'result'
const nothing: Graph = { nodes: [], connections: [] }

function Watching({ id }: { id: string }) {
  const kinds = useKinds()
  const run = useRun(id)
  const waiting = [...run.state.nodes.values()].filter((n) => n.status === 'waiting').length
  const detail = useExecution(id, `${run.state.status}${waiting}`)
  const x = detail.data
  const drawing = useRanVersion(x?.workflow_id, x?.workflow_version)
  const [, navigate] = useLocation()
  const [selection, setSelection] = useState<string[]>([])
  const [tab, setTab] = useState<Tab>('timeline')
  const [at, setAt] = useState<number>() // how many events are shown; undefined: all
  const [comparing, setComparing] = useState(false)
  const actions = useRunActions()
  const flow = useReactFlow()

  const graph = useMemo(() => {
    const g = drawing.data ?? nothing
    return kinds.size && overlaps(g, kinds) ? layout(g, kinds) : g
  }, [drawing.data, kinds])
  const past = useMemo(() => (at === undefined ? run.state : take(emptyRun(), run.events.slice(0, at))), [at, run.state, run.events])
  const titles = useMemo(() => new Map(graph.nodes.map((n) => [n.id, titleOf(n, kinds)])), [graph, kinds])
  const parents = useMemo(() => new Map(graph.nodes.map((n) => [n.id, n.parent_id ?? ''])), [graph])
  const critical = useMemo(() => (isOver(past.status) ? criticalPath(past, graph.connections, parents) : new Set<string>()), [past, graph, parents])
  const chosen = selection[0]
  const over = isOver(run.state.status) || isOver(x?.status ?? '')
  const moment_ = at !== undefined && at > 0 ? new Date(run.events[at - 1]?.timestamp ?? 0).getTime() : undefined

  useEffect(() => {
    const timer = setTimeout(() => void flow.fitView({ padding: 0.16, maxZoom: 1, duration: 150 }), 60)
    return () => clearTimeout(timer)
  }, [flow, graph, !chosen]) // eslint-disable-line react-hooks/exhaustive-deps
  useEffect(() => {
    document.title = `${x?.workflow_name ?? t.executions.title} · ${t.name}`
    return () => void (document.title = t.name)
  }, [x?.workflow_name])

  const retry = (from: string) => actions.retry.mutate({ id, from }, { onSuccess: (next) => navigate(`/executions/${next.id}`), onError: toastError })
  useCommands(
    [
      { id: 'x.retry', title: t.execution.retryFailed, group: t.executions.title, icon: RotateCcw, run: () => over && retry('failed') },
      { id: 'x.compare', title: t.execution.compare, group: t.executions.title, icon: GitCompareArrows, run: () => setComparing(true) },
      { id: 'x.none', title: t.editor.deselect, group: t.executions.title, keys: 'escape', hidden: true, run: () => setSelection([]) },
    ],
    [],
  )

  if (detail.isError) return detail.error instanceof ApiError && (detail.error.missing || detail.error.status === 422) ? <Missing /> : <Fault error={detail.error} retry={() => void detail.refetch()} />
  if (!x || kinds.size === 0) return <Bones rows={4} height={64} />
  const status = run.ready ? run.state.status : x.status
  const asks = (x.nodes ?? []).flatMap((n) => n.approvals ?? []).filter((a) => a.status === 'open' && run.state.nodes.get(a.node_id)?.status === 'waiting')
  return (
    <div className="execution">
      <header className="editor-bar">
        <Link href="/executions" className="btn ghost icon" aria-label={t.back} title={t.back}>
          <ArrowLeft size={16} aria-hidden />
        </Link>
        <h1 className="clip">{x.workflow_name}</h1>
        <span role="status" aria-live="polite">
          <Status status={status} />
        </span>
        <span className="muted num facts-bar clip">
          {[
            moment(x.created_at),
            t.trigger[x.trigger_type] ?? x.trigger_type,
            x.completed_at ? duration(x.duration_ms) : '',
            x.tokens.input + x.tokens.output > 0 ? t.run.tokens(count(x.tokens.input), count(x.tokens.output)) : '',
            x.cost_usd ? money(x.cost_usd) : '',
            t.editor.version(x.workflow_version),
          ]
            .filter(Boolean)
            .join(' · ')}
        </span>
        <span className="grow" />
        {x.retry_of && (
          <Link className="btn ghost" href={`/executions/${x.retry_of}`}>
            {t.execution.before}
          </Link>
        )}
        <Button icon={GitCompareArrows} onClick={() => setComparing(true)}>
          {t.execution.compare}
        </Button>
        <Link className="btn" href={`/workflows/${x.workflow_id}`}>
          <PenLine size={16} aria-hidden />
          {t.execution.edit}
        </Link>
        {over ? (
          <Menu
            button={(p) => (
              <Button kind="primary" icon={RotateCcw} busy={actions.retry.isPending} {...p}>
                {t.execution.retry}
              </Button>
            )}
            items={[
              ...(status === 'failed' ? [{ label: t.execution.retryFailed, icon: RotateCcw, run: () => retry('failed') }] : []),
              { label: t.execution.retryStart, icon: Play, run: () => retry('start') },
              ...(chosen ? [{ label: t.execution.retryNode(titles.get(chosen) ?? chosen), icon: RotateCcw, run: () => retry(chosen) }] : []),
            ]}
          />
        ) : (
          <>
            {status === 'paused' ? (
              <Button icon={Play} onClick={() => actions.resume.mutate(id, { onError: toastError })}>
                {t.execution.resume}
              </Button>
            ) : (
              <Button icon={Pause} onClick={() => actions.pause.mutate(id, { onError: toastError })}>
                {t.execution.pause}
              </Button>
            )}
            <Button kind="danger" icon={Square} busy={actions.cancel.isPending} onClick={() => actions.cancel.mutate(id, { onError: toastError })}>
              {t.cancel}
            </Button>
          </>
        )}
      </header>
      <div className="execution-main">
        <div className="editor-left">
          {(asks.length > 0 || (x.error && over)) && (
            <div className="above-canvas">
              {asks.map((a) => (
                <ApprovalCard key={a.id} approval={a} />
              ))}
              {x.error && over && (
                <button type="button" className="fault error-card" onClick={() => x.error?.node_id && setSelection([x.error.node_id])}>
                  <StatusIcon status="failed" />
                  <span className="grow">
                    <strong>{x.error.node_id ? (titles.get(x.error.node_id) ?? x.error.node_id) : t.status['failed']}</strong>
                    <br />
                    {x.error.message}
                  </span>
                </button>
              )}
            </div>
          )}
          <div className="editor-canvas">
            {drawing.isError ? (
              <p className="muted pad">{t.execution.noDrawing}</p>
            ) : (
              <Canvas graph={graph} kinds={kinds} runs={past.nodes} lit={critical.size < graph.nodes.length ? critical : undefined} selection={selection} onSelect={(ids) => setSelection(ids.slice(-1))} onOpen={(n) => setSelection([n])} />
            )}
          </div>
          {run.events.length > 1 && (
            <div className="scrubber">
              <label htmlFor="scrub">{t.execution.replay}</label>
              <input id="scrub" type="range" min={1} max={run.events.length} value={at ?? run.events.length} onChange={(e) => setAt(Number(e.target.value) >= run.events.length ? undefined : Number(e.target.value))} aria-valuetext={moment_ && past.startedAt ? duration(moment_ - past.startedAt) : t.execution.end} />
              <span className="num muted">
                {t.execution.events(at ?? run.events.length, run.events.length)}
              </span>
              {at !== undefined && (
                <Button size="small" onClick={() => setAt(undefined)}>
                  {over ? t.execution.toEnd : t.execution.toNow}
                </Button>
              )}
            </div>
          )}
          <section className="execution-below">
            <Tabs
              label={t.run.data}
              value={tab}
              onChange={setTab}
              options={[
                { value: 'timeline', label: t.run.timeline },
                { value: 'logs', label: past.logs.length ? `${t.run.logs} ${past.logs.length}` : t.run.logs },
                { value: 'result', label: t.execution.data },
              ]}
            />
            <div className="execution-tab">
              {tab === 'timeline' && <Timeline state={past} titles={titles} critical={critical} onPick={(n) => setSelection([n])} now={moment_} />}
              {tab === 'logs' && <Logs lines={past.logs} titles={titles} />}
              {tab === 'result' && (
                <div className="two">
                  <JsonView label={t.run.input} value={x.trigger_data ?? {}} />
                  {x.output !== undefined ? <JsonView label={t.run.result} value={x.output} /> : <p className="muted pad">{t.run.noResult}</p>}
                </div>
              )}
            </div>
          </section>
        </div>
        {chosen && (
          <aside className="panel" aria-label={titles.get(chosen) ?? chosen}>
            <header className="panel-head">
              <h2 className="grow clip">{titles.get(chosen) ?? chosen}</h2>
              <Button kind="ghost" icon={X} label={t.close} onClick={() => setSelection([])} />
            </header>
            <div className="panel-body">
              <Inspector executionId={id} run={past.nodes.get(chosen)} onRetry={over ? () => retry(chosen) : undefined} />
            </div>
          </aside>
        )}
      </div>
      {comparing && <Compare execution={x} onClose={() => setComparing(false)} />}
    </div>
  )
}

function Compare({ execution, onClose }: { execution: ExecutionDetail; onClose: () => void }) {
  const list = useOtherRuns(execution.workflow_id, true)
  const others = (list.data?.items ?? []).filter((o) => o.id !== execution.id)
  const [id, setId] = useState<string>()
  const with_ = id ?? execution.retry_of ?? others[0]?.id
  const other = useExecution(with_, '')
  const [node, setNode] = useState<number>()
  const rows = useMemo(() => (other.data ? compareRuns(other.data.nodes ?? [], execution.nodes ?? []) : []), [other.data, execution.nodes])
  const row = node === undefined ? undefined : rows[node]
  return (
    <Dialog open wide onClose={onClose} title={t.execution.compareTitle}>
      {list.isPending ? (
        <Bones />
      ) : others.length === 0 ? (
        <p className="muted">{t.execution.noOthers}</p>
      ) : (
        <>
          <Field label={t.execution.compareWith}>
            {(ids) => (
              <select {...ids} className="input" value={with_} onChange={(e) => setId(e.target.value)}>
                {others.map((o) => (
                  <option key={o.id} value={o.id}>
                    {moment(o.created_at)} · {t.status[o.status] ?? o.status} · {ago(o.created_at)}
                  </option>
                ))}
              </select>
            )}
          </Field>
          {other.isError && <Fault error={other.error} />}
          <div className="table-scroll">
            <table className="table compare">
              <thead>
                <tr>
                  <th scope="col">{t.execution.node}</th>
                  <th scope="col">{t.execution.thatRun}</th>
                  <th scope="col">{t.execution.thisRun}</th>
                  <th scope="col">{t.run.output}</th>
                  <th scope="col" className="right">
                    {t.execution.difference}
                  </th>
                </tr>
              </thead>
              <tbody>
                {rows.slice(0, 300).map((r, i) => (
                  <tr key={i}>
                    <td>
                      <button type="button" className="link" aria-expanded={node === i} onClick={() => setNode(node === i ? undefined : i)}>
                        {r.title}
                      </button>
                    </td>
                    <td>{r.before ? <Status status={r.before.status} /> : '–'}</td>
                    <td>{r.after ? <Status status={r.after.status} /> : '–'}</td>
                    <td>{r.sameOutput ? <span className="muted">{t.execution.same}</span> : <span className="badge tone-wait">{t.execution.differs}</span>}</td>
                    <td className="right num">{r.slowerMs === 0 ? '' : `${r.slowerMs > 0 ? '+' : '−'}${duration(Math.abs(r.slowerMs))}`}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
          {row && (
            <div className="two">
              <JsonView label={`${t.execution.thatRun}: ${row.title}`} value={row.before?.output ?? null} />
              <JsonView label={`${t.execution.thisRun}: ${row.title}`} value={row.after?.output ?? null} />
            </div>
          )}
        </>
      )}
    </Dialog>
  )
}
