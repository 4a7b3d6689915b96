import { Search, SearchX, Zap } from 'lucide-react'
import { useEffect, useState } from 'react'
import { Link, useSearchParams } from 'wouter'
import { useApply, useExecutionList, useWorkflowNames, type Execution } from './queries'
import './executions.css'
import { useWorkspaceUpdates } from '@/api/workflows'
import { ago, duration, moment, money } from '@/ui/format'
import { Bones, Button, Empty, Fault, Segments, Status } from '@/ui/kit'
import { useLater } from '@/ui/useLater'
import { t } from '@/text'

const states = ['', 'running', 'waiting', 'failed', 'completed', 'cancelled']

export default function ExecutionsPage() {
  const [params, setParams] = useSearchParams()
  const status = params.get('status') ?? ''
  const workflow = params.get('workflow') ?? ''
  const [words, setWords] = useState(params.get('query') ?? '')
  const query = useLater(words.trim())
  const list = useExecutionList({ status, workflow, query })
  const names = useWorkflowNames()
  const apply = useApply()
  useWorkspaceUpdates(apply)
  const set = (key: string, value: string) =>
    setParams(
      (was) => {
        const next = new URLSearchParams(was)
        if (value) next.set(key, value)
        else next.delete(key)
        return next
      },
      { replace: true },
    )
  const items = (list.data?.pages ?? []).flatMap((p) => p.items ?? [])
  const filtered = !!(status || workflow || query)
  return (
    <div className="page">
      <div className="head">
        <div className="grow">
          <h1>{t.executions.title}</h1>
          <p className="lead">{t.executions.lead}</p>
        </div>
      </div>
      <div className="filters">
        <div className="search">
          <Search size={15} aria-hidden />
          <input className="input" type="search" aria-label={t.executions.search} placeholder={t.executions.search} value={words} onChange={(e) => setWords(e.target.value)} />
        </div>
        <Segments label={t.executions.status} value={status} onChange={(v) => set('status', v)} options={states.map((value) => ({ value, label: value ? t.status[value] : t.all }))} />
        <select className="input" aria-label={t.executions.workflow} value={workflow} onChange={(e) => set('workflow', e.target.value)}>
          <option value="">{t.executions.anyWorkflow}</option>
          {(names.data?.items ?? []).map((w) => (
            <option key={w.id} value={w.id}>
              {w.name}
            </option>
          ))}
        </select>
      </div>
      <div className="card">
        {list.isPending ? (
          <Bones rows={8} height={32} />
        ) : list.isError ? (
          <div style={{ padding: 16 }}>
            <Fault error={list.error} retry={() => void list.refetch()} />
          </div>
        ) : items.length === 0 ? (
          filtered ? (
            <Empty icon={SearchX} title={t.executions.nothing} action={<Button onClick={() => { setWords(''); setParams({}, { replace: true }) }}>{t.workflows.clear}</Button>} />
          ) : (
            <Empty icon={Zap} title={t.executions.none} action={<Link className="btn primary" href="/workflows">{t.executions.noneAction}</Link>}>
              {t.executions.noneHint}
            </Empty>
          )
        ) : (
          <div className="table-scroll">
            <table className="table executions">
              <thead>
                <tr>
                  <th scope="col">{t.executions.status}</th>
                  <th scope="col">{t.executions.workflow}</th>
                  <th scope="col">{t.executions.by}</th>
                  <th scope="col">{t.executions.progress}</th>
                  <th scope="col">{t.executions.started}</th>
                  <th scope="col" className="right">
                    {t.executions.took}
                  </th>
                  <th scope="col" className="right">
                    {t.executions.cost}
                  </th>
                </tr>
              </thead>
              <tbody>
                {items.map((x) => (
                  <Row key={x.id} x={x} />
                ))}
              </tbody>
            </table>
          </div>
        )}
      </div>
      {list.hasNextPage && (
        <div className="more-row">
          <Button busy={list.isFetchingNextPage} onClick={() => void list.fetchNextPage()}>
            {t.executions.loadMore}
          </Button>
        </div>
      )}
    </div>
  )
}

function Row({ x }: { x: Execution }) {
  return (
    <tr>
      <td>
        <Status status={x.status} />
      </td>
      <td>
        <Link href={`/executions/${x.id}`} className="cover title">
          {x.workflow_name}
        </Link>
        {x.dry_run && <span className="tag">{t.executions.dry}</span>}
        {x.error && <div className="bad sub clip">{x.error.message}</div>}
      </td>
      <td className="muted">{t.trigger[x.trigger_type] ?? x.trigger_type}</td>
      <td>
        <div className="bar" role="progressbar" aria-label={t.executions.progress} aria-valuenow={x.progress} aria-valuemin={0} aria-valuemax={100}>
          <span className={x.status} ref={(e) => { if (e) e.style.width = `${x.progress}%` }} />
        </div>
      </td>
      <td className="muted nowrap" title={moment(x.created_at)}>
        {ago(x.created_at)}
      </td>
      <td className="right num nowrap">{x.completed_at ? duration(x.duration_ms) : x.started_at ? <Running since={x.started_at} /> : ''}</td>
      <td className="right num muted">{money(x.cost_usd)}</td>
    </tr>
  )
}

/** The time that goes by while something runs. */
function Running({ since }: { since: string }) {
  const [now, setNow] = useState(Date.now)
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1000)
    return () => clearInterval(timer)
  }, [])
  return <>{duration(Math.max(0, now - new Date(since).getTime()))}</>
}
