import { ExternalLink, Square, X } from 'lucide-react'
import { useState } from 'react'
import { Link } from 'wouter'
import { ApprovalCard } from '@/run/ApprovalCard'
import { JsonView } from '@/run/JsonView'
import { Logs } from '@/run/Logs'
import { isOver, useRunActions, type ExecutionDetail, type Run } from '@/run/queries'
import { saying } from '@/run/state'
import { duration, money } from '@/ui/format'
import { Button, Fault, Status, StatusIcon, Tabs } from '@/ui/kit'
import { toastError } from '@/ui/toast'
import { t } from '@/text'

type Tab = 'steps' | 'logs' | 'result'

/** The run of the moment, below the canvas. */
export function RunPanel({ id, run, detail, titles, onPick, onClose }: { id: string; run: Run; detail: ExecutionDetail | undefined; titles: ReadonlyMap<string, string>; onPick: (node: string) => void; onClose: () => void }) {
  const [tab, setTab] = useState<Tab>('steps')
  const { cancel } = useRunActions()
  const { state } = run
  const over = isOver(state.status)
  const asks = (detail?.nodes ?? []).flatMap((n) => n.approvals ?? []).filter((a) => a.status === 'open' && state.nodes.get(a.node_id)?.status === 'waiting')
  const steps = [...state.nodes].sort((a, b) => firstStart(a[1].iterations) - firstStart(b[1].iterations))
  return (
    <section className="runpanel" aria-label={t.editor.running}>
      <header>
        <span role="status" aria-live="polite">
          <Status status={state.status} />
        </span>
        <span className="muted num">
          {[state.total ? `${state.completed}/${state.total}` : '', state.startedAt && state.endedAt ? duration(state.endedAt - state.startedAt) : '', detail?.cost_usd ? money(detail.cost_usd) : ''].filter(Boolean).join(' · ')}
        </span>
        <Tabs
          label={t.run.data}
          value={tab}
          onChange={setTab}
          options={[
            { value: 'steps', label: t.run.steps },
            { value: 'logs', label: state.logs.length ? `${t.run.logs} ${state.logs.length}` : t.run.logs },
            { value: 'result', label: t.run.result },
          ]}
        />
        <span className="grow" />
        {!over && (
          <Button size="small" icon={Square} busy={cancel.isPending} onClick={() => cancel.mutate(id, { onError: toastError })}>
            {t.editor.cancelRun}
          </Button>
        )}
        <Link className="btn small" href={`/executions/${id}`}>
          <ExternalLink size={14} aria-hidden />
          {t.editor.openRun}
        </Link>
        <Button size="small" kind="ghost" icon={X} label={t.editor.closeRun} onClick={onClose} />
      </header>
      <div className="runpanel-body">
        {asks.length > 0 && (
          <div className="asks-here">
            {asks.map((a) => (
              <ApprovalCard key={a.id} approval={a} />
            ))}
          </div>
        )}
        {run.denied && <Fault error={new Error(run.denied)} />}
        {tab === 'steps' && (
          <ol className="steps">
            {steps.map(([node, r]) => {
              const took = [...r.iterations.values()].reduce((sum, x) => sum + (x.endedAt ? x.endedAt - x.startedAt : 0), 0)
              return (
                <li key={node}>
                  <button type="button" onClick={() => onPick(node)}>
                    <StatusIcon status={r.status} />
                    <span className="title clip">{titles.get(node) ?? node}</span>
                    <span className="muted clip grow">{saying(r).slice(-160) || (r.message ?? '')}</span>
                    {r.iterations.size > 1 && (
                      <span className="muted num">
                        {r.counts['completed'] ?? 0}/{r.iterations.size}
                      </span>
                    )}
                    <span className="muted num took">{took || isOver(r.status) ? duration(took) : ''}</span>
                  </button>
                </li>
              )
            })}
          </ol>
        )}
        {tab === 'logs' && <Logs lines={state.logs} titles={titles} />}
        {tab === 'result' &&
          (detail?.error ? (
            <div className="pad">
              <Fault error={new Error(detail.error.message)} />
            </div>
          ) : detail && over && detail.output !== undefined ? (
            <JsonView label={t.run.result} value={detail.output} />
          ) : (
            <p className="muted pad">{t.run.noResult}</p>
          ))}
      </div>
    </section>
  )
}

function firstStart(rounds: ReadonlyMap<string, { startedAt: number }>): number {
  let first = Infinity
  for (const r of rounds.values()) first = Math.min(first, r.startedAt)
  return first
}
