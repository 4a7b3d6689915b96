import { Bot, ChevronRight, Pin, PinOff, RotateCcw, Wrench } from 'lucide-react'
import { useEffect, useState } from 'react'
import { ApprovalCard } from './ApprovalCard'
import { JsonView } from './JsonView'
import { useNodeDetail, type NodeDetail } from './queries'
import type { NodeRun } from './state'
import './run.css'
import { count, duration, money } from '@/ui/format'
import { Bones, Button, Fault, Status, StatusIcon, Tabs } from '@/ui/kit'
import { t } from '@/text'

type Tab = 'output' | 'input' | 'trace'

/** What one node did in a run: each of its rounds, in and out, turn by turn. */
export function Inspector({ executionId, run, pinned, onPin, onRetry, retryLabel }: { executionId: string; run: NodeRun | undefined; pinned?: boolean; onPin?: ((output: unknown) => void) | undefined; onRetry?: (() => void) | undefined; retryLabel?: string }) {
  const rounds = [...(run?.iterations ?? [])]
  const [key, setKey] = useState<string>()
  const [tab, setTab] = useState<Tab>('output')
  const chosen = rounds.find(([k]) => k === key) ?? rounds.find(([, r]) => r.status === 'failed') ?? rounds[0]
  const detail = useNodeDetail(executionId, chosen?.[1].id, `${chosen?.[1].status}${chosen?.[1].attempt}`)
  useEffect(() => setKey(undefined), [executionId])
  if (!run || !chosen) return <p className="muted pad">{t.run.notRun}</p>
  const n = detail.data
  return (
    <div className="inspector">
      <div className="inspector-head">
        <Status status={chosen[1].status} />
        <span className="grow" />
        {n && (
          <span className="muted num facts-line">
            {[
              n.status !== 'skipped' && n.duration_ms !== undefined && n.completed_at ? duration(n.duration_ms) : '',
              n.attempt > 1 ? t.run.attempt(n.attempt) : '',
              n.tokens.input + n.tokens.output > 0 ? t.run.tokens(count(n.tokens.input), count(n.tokens.output)) : '',
              n.cost_usd ? money(n.cost_usd) : '',
              n.model ?? '',
              n.reused ? t.run.reused : '',
            ]
              .filter(Boolean)
              .join(' · ')}
          </span>
        )}
        {onRetry && (
          <Button size="small" icon={RotateCcw} onClick={onRetry}>
            {retryLabel ?? t.run.retryHere}
          </Button>
        )}
        {onPin && n?.output !== undefined && n.status === 'completed' && (
          <Button size="small" icon={pinned ? PinOff : Pin} label={pinned ? t.run.unpin : t.run.pin} aria-pressed={pinned} onClick={() => onPin(pinned ? undefined : n.output)} />
        )}
      </div>
      {rounds.length > 1 && (
        <select className="input rounds-pick" aria-label={t.run.round} value={chosen[0]} onChange={(e) => setKey(e.target.value)}>
          {rounds.slice(0, 1000).map(([k, r]) => (
            <option key={k} value={k}>
              {t.run.roundOf(k)} · {t.status[r.status] ?? r.status}
            </option>
          ))}
        </select>
      )}
      {run.text && <pre className="stream">{run.text}</pre>}
      {[...run.called].map(([step, c]) => (
        <pre key={step} className="stream" aria-label={c.agent}>
          <strong>{c.agent}</strong> {c.text}
        </pre>
      ))}
      {n?.error && (
        <div className="pad">
          <div className="fault" role="alert">
            <StatusIcon status="failed" />
            <div className="grow">
              <div>{n.error.message}</div>
              <code>{n.error.code}</code>
            </div>
          </div>
        </div>
      )}
      {(n?.approvals ?? [])
        .filter((a) => a.status === 'open')
        .map((a) => (
          <div className="pad" key={a.id}>
            <ApprovalCard approval={a} />
          </div>
        ))}
      <Tabs
        label={t.run.data}
        value={tab}
        onChange={setTab}
        options={[
          { value: 'output', label: t.run.output },
          { value: 'input', label: t.run.input },
          { value: 'trace', label: n?.steps?.length ? `${t.run.trace} ${n.steps.length}` : t.run.trace },
        ]}
      />
      <div className="inspector-body">
        {detail.isPending ? (
          <Bones rows={4} height={18} />
        ) : detail.isError ? (
          <Fault error={detail.error} retry={() => void detail.refetch()} />
        ) : tab === 'trace' ? (
          <Trace steps={detail.data.steps ?? []} />
        ) : tab === 'output' ? (
          detail.data.output === undefined ? (
            <p className="muted pad">{detail.data.output_url ? t.run.largeOutput : t.run.noOutput}</p>
          ) : (
            <JsonView label={t.run.output} value={detail.data.output} />
          )
        ) : detail.data.input === undefined ? (
          <p className="muted pad">{t.run.noInput}</p>
        ) : (
          <JsonView label={t.run.input} value={detail.data.input} />
        )}
      </div>
    </div>
  )
}

function Trace({ steps }: { steps: NonNullable<NodeDetail['steps']> }) {
  if (steps.length === 0) return <p className="muted pad">{t.run.noTrace}</p>
  return (
    <ol className="trace">
      {steps.map((s) => (
        <TraceStep key={s.name} step={s} />
      ))}
    </ol>
  )
}

function TraceStep({ step: s }: { step: NonNullable<NodeDetail['steps']>[number] }) {
  const [open, setOpen] = useState(false)
  const Icon = s.kind === 'tool' ? Wrench : Bot
  const took = s.started_at && s.completed_at ? new Date(s.completed_at).getTime() - new Date(s.started_at).getTime() : undefined
  return (
    <li className={s.name.includes('/') ? 'deep' : ''}>
      <button type="button" className="trace-head" aria-expanded={open} onClick={() => setOpen(!open)}>
        <ChevronRight size={13} aria-hidden />
        <Icon size={15} aria-hidden />
        <span className="grow clip">
          {t.run.stepKind[s.kind] ?? s.kind} · {s.title}
        </span>
        {s.failed && <StatusIcon status="failed" size={14} />}
        <span className="muted num">{[s.tokens.input + s.tokens.output > 0 ? t.run.tokens(count(s.tokens.input), count(s.tokens.output)) : '', s.cost_usd ? money(s.cost_usd) : '', duration(took)].filter(Boolean).join(' · ')}</span>
      </button>
      {open && (
        <div className="trace-body">
          {s.input !== undefined && <JsonView label={t.run.input} value={s.input} />}
          {s.output !== undefined && <JsonView label={t.run.output} value={s.output} />}
        </div>
      )}
    </li>
  )
}
