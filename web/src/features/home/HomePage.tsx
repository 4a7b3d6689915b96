import { CheckCheck, FileText, Headset, MoonStar, Plus, ScanText, Sparkles, UserCheck, Workflow, Zap, type LucideIcon } from 'lucide-react'
import { Link, useLocation } from 'wouter'
import { useApprovals, useDecide, useFailedRuns, useLatestRuns, useRecentWorkflows, useTemplates, type Approval } from './queries'
import './home.css'
import { useUser } from '@/api/hooks'
import { useCreateWorkflow, useImportWorkflow, useWorkspaceUpdates } from '@/api/workflows'
import { Bones, Button, Card, Empty, Fault, Status, StatusIcon } from '@/ui/kit'
import { ago, duration } from '@/ui/format'
import { toast, toastError } from '@/ui/toast'
import { t } from '@/text'

const emblems: Record<string, LucideIcon> = {
  'research-digest': Sparkles,
  'support-triage': Headset,
  'nightly-report': MoonStar,
  'invoice-extraction': ScanText,
  'code-review': FileText,
}

export default function HomePage() {
  const user = useUser()
  const workflows = useRecentWorkflows()
  const [, navigate] = useLocation()
  const create = useCreateWorkflow()
  useWorkspaceUpdates()
  const first = workflows.data?.total === 0
  const add = () => create.mutate('Untitled workflow', { onSuccess: (w) => navigate(`/workflows/${w.id}`), onError: toastError })
  return (
    <div className="page home">
      <div className="head">
        <div className="grow">
          <h1>{first ? t.home.firstTitle : t.home.hello((user?.full_name ?? '').split(' ')[0] ?? '')}</h1>
          <p className="lead">{first ? t.home.firstLead : t.home.lead}</p>
        </div>
        <div className="row">
          <Button kind={first ? 'plain' : 'primary'} icon={Plus} busy={create.isPending} onClick={add}>
            {t.home.create}
          </Button>
        </div>
      </div>
      {first ? (
        <Templates />
      ) : (
        <>
          <div className="home-grid">
            <div className="home-main">
              <RecentWorkflows />
              <LatestRuns />
            </div>
            <div className="home-side">
              <Approvals />
              <Failed />
            </div>
          </div>
          <section className="home-templates">
            <h2>{t.home.templates}</h2>
            <p className="muted">{t.home.templatesHint}</p>
            <Templates />
          </section>
        </>
      )}
    </div>
  )
}

function RecentWorkflows() {
  const list = useRecentWorkflows()
  return (
    <Card title={t.home.recent} actions={<Link className="more" href="/workflows">{t.home.allWorkflows}</Link>}>
      {list.isPending ? (
        <Bones rows={3} height={36} />
      ) : list.isError ? (
        <Fault error={list.error} retry={() => void list.refetch()} />
      ) : (
        <ul className="lines">
          {(list.data.items ?? []).map((w) => (
            <li key={w.id}>
              <Link href={`/workflows/${w.id}`}>
                <span className="glyph" aria-hidden>
                  <Workflow size={16} />
                </span>
                <span className="grow">
                  <span className="title clip">{w.name}</span>
                  <span className="muted sub clip">
                    {t.home.steps(w.node_count)} · {ago(w.updated_at)}
                  </span>
                </span>
                {w.last_execution && <StatusIcon status={w.last_execution.status} />}
                <Status status={w.status} />
              </Link>
            </li>
          ))}
        </ul>
      )}
    </Card>
  )
}

function LatestRuns() {
  const list = useLatestRuns()
  return (
    <Card title={t.home.runs} actions={<Link className="more" href="/executions">{t.home.allRuns}</Link>}>
      {list.isPending ? (
        <Bones rows={4} height={32} />
      ) : list.isError ? (
        <Fault error={list.error} retry={() => void list.refetch()} />
      ) : (list.data.items ?? []).length === 0 ? (
        <Empty slim icon={Zap} title={t.home.noRuns}>
          {t.home.noRunsHint}
        </Empty>
      ) : (
        <ul className="lines slim">
          {(list.data.items ?? []).map((x) => (
            <li key={x.id}>
              <Link href={`/executions/${x.id}`}>
                <StatusIcon status={x.status} />
                <span className="title grow clip">{x.workflow_name}</span>
                <span className="muted num">{duration(x.duration_ms)}</span>
                <span className="muted when">{ago(x.created_at)}</span>
              </Link>
            </li>
          ))}
        </ul>
      )}
    </Card>
  )
}

function Approvals() {
  const list = useApprovals()
  const waiting = list.data ?? []
  return (
    <Card title={t.home.approvals} actions={waiting.length > 0 && <span className="badge tone-accent">{waiting.length}</span>}>
      {list.isPending ? (
        <Bones rows={1} height={56} />
      ) : list.isError ? (
        <Fault error={list.error} retry={() => void list.refetch()} />
      ) : waiting.length === 0 ? (
        <p className="calm">
          <CheckCheck size={16} aria-hidden /> {t.home.noApprovals}
        </p>
      ) : (
        <ul className="asks">
          {waiting.map((a) => (
            <Ask key={a.id} approval={a} />
          ))}
        </ul>
      )}
    </Card>
  )
}

function Ask({ approval }: { approval: Approval }) {
  const decide = useDecide()
  const answer = (decision: 'approve' | 'reject') =>
    decide.mutate({ approval, decision }, { onSuccess: () => toast(`${decision === 'approve' ? t.home.approved : t.home.rejected}: ${approval.node_name}`), onError: toastError })
  return (
    <li>
      <div className="row">
        <UserCheck size={16} aria-hidden color="var(--wait)" />
        <strong className="grow clip">{approval.workflow_name}</strong>
        <span className="muted">{ago(approval.created_at)}</span>
      </div>
      <p>{approval.message || approval.node_name}</p>
      <div className="row">
        {approval.form ? (
          <Link className="btn small" href={`/executions/${approval.execution_id}`}>
            {t.home.fillIn}
          </Link>
        ) : (
          <>
            <Button size="small" kind="primary" busy={decide.isPending} onClick={() => answer('approve')}>
              {t.home.approve}
            </Button>
            <Button size="small" disabled={decide.isPending} onClick={() => answer('reject')}>
              {t.home.reject}
            </Button>
            <Link className="btn small ghost" href={`/executions/${approval.execution_id}`}>
              {t.home.open}
            </Link>
          </>
        )}
      </div>
    </li>
  )
}

function Failed() {
  const list = useFailedRuns()
  return (
    <Card title={t.home.failed}>
      {list.isPending ? (
        <Bones rows={1} height={40} />
      ) : list.isError ? (
        <Fault error={list.error} retry={() => void list.refetch()} />
      ) : (list.data.items ?? []).length === 0 ? (
        <p className="calm">
          <CheckCheck size={16} aria-hidden /> {t.home.noFailed}
        </p>
      ) : (
        <ul className="lines slim">
          {(list.data.items ?? []).map((x) => (
            <li key={x.id}>
              <Link href={`/executions/${x.id}`}>
                <StatusIcon status="failed" />
                <span className="grow">
                  <span className="title clip">{x.workflow_name}</span>
                  <span className="muted sub clip">{x.error?.message}</span>
                </span>
                <span className="muted when">{ago(x.completed_at)}</span>
              </Link>
            </li>
          ))}
        </ul>
      )}
    </Card>
  )
}

function Templates() {
  const templates = useTemplates()
  const use = useImportWorkflow()
  const [, navigate] = useLocation()
  if (!templates.data) return <Bones rows={2} height={120} />
  return (
    <ul className="templates">
      {templates.data.map((x) => {
        const Emblem = emblems[x.id] ?? Workflow
        const busy = use.isPending && use.variables === x.source
        return (
          <li key={x.id} className="card template">
            <span className="glyph large" aria-hidden>
              <Emblem size={20} />
            </span>
            <h3>{x.name}</h3>
            <p className="muted grow">{x.description}</p>
            <div className="row">
              <span className="grow muted">{t.home.steps(x.steps)}</span>
              <Button
                size="small"
                busy={busy}
                disabled={use.isPending}
                aria-label={`${t.home.use}: ${x.name}`}
                onClick={() => use.mutate(x.source, { onSuccess: (w) => navigate(`/workflows/${w.id}?run`), onError: toastError })}
              >
                {t.home.use}
              </Button>
            </div>
          </li>
        )
      })}
    </ul>
  )
}
