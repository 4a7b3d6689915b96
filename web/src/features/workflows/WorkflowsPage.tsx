import { Archive, ArchiveRestore, Copy, Download, FileUp, MoreHorizontal, Plus, Search, SearchX, Trash2, Upload, Workflow as WorkflowIcon, X } from 'lucide-react'
import { useMemo, useRef, useState, type DragEvent } from 'react'
import { Link, useLocation } from 'wouter'
import { download, useWorkflowActions, useWorkflowList, type Filter } from './queries'
import './workflows.css'
import { useUser } from '@/api/hooks'
import { useCreateWorkflow, useImportWorkflow, useMemberNames, useWorkspaceUpdates, type WorkflowSummary } from '@/api/workflows'
import { useCommands } from '@/app/commands'
import { useKinds } from '@/canvas/queries'
import { ago } from '@/ui/format'
import { Bones, Button, Empty, Fault, Menu, Segments, Status, StatusIcon } from '@/ui/kit'
import { toast, toastError } from '@/ui/toast'
import { laterWithUndo } from '@/ui/undo'
import { useLater } from '@/ui/useLater'
import { t } from '@/text'

const states = ['', 'draft', 'published', 'archived'] as const

export default function WorkflowsPage() {
  useKinds() // the editor needs them at once
  const [filter, setFilter] = useState<Filter>({ query: '', status: '', tags: [] })
  const query = useLater(filter.query.trim())
  const list = useWorkflowList({ ...filter, query })
  const [gone, setGone] = useState<ReadonlySet<string>>(new Set())
  const [, navigate] = useLocation()
  const create = useCreateWorkflow()
  const bring = useImportWorkflow()
  const file = useRef<HTMLInputElement>(null)
  const [over, setOver] = useState(false)
  useWorkspaceUpdates()

  const items = useMemo(
    () => (list.data?.pages ?? []).flatMap((p) => p.items ?? []).filter((w) => !gone.has(w.id) && (filter.status === 'archived' || w.status !== 'archived')),
    [list.data, gone, filter.status],
  )
  const tags = useMemo(() => [...new Set([...filter.tags, ...items.flatMap((w) => w.tags ?? [])])].sort().slice(0, 12), [items, filter.tags])
  const names = useMemberNames()
  const user = useUser()
  const filtered = filter.query !== '' || filter.status !== '' || filter.tags.length > 0

  const add = () => create.mutate(t.workflows.untitled, { onSuccess: (w) => navigate(`/workflows/${w.id}`), onError: toastError })
  const read = async (files: FileList | null) => {
    const list = [...(files ?? [])] // the field is emptied meanwhile
    for (const f of list) {
      bring.mutate(await f.text(), {
        onSuccess: (w) => {
          toast(t.workflows.imported(w.name))
          if (list.length === 1) navigate(`/workflows/${w.id}`)
        },
        onError: toastError,
      })
    }
  }
  useCommands(
    [
      { id: 'workflow.new', title: t.workflows.create, group: t.palette.actions, icon: Plus, keys: 'n', run: add },
      { id: 'workflow.import', title: t.workflows.import, group: t.palette.actions, icon: Upload, run: () => file.current?.click() },
    ],
    [],
  )
  const drag = {
    onDragOver: (e: DragEvent) => {
      if (!e.dataTransfer.types.includes('Files')) return
      e.preventDefault()
      setOver(true)
    },
    onDragLeave: (e: DragEvent) => {
      if (e.currentTarget === e.target) setOver(false)
    },
    onDrop: (e: DragEvent) => {
      e.preventDefault()
      setOver(false)
      void read(e.dataTransfer.files)
    },
  }

  return (
    <div className="page workflows" {...drag}>
      <div className="head">
        <div className="grow">
          <h1>{t.workflows.title}</h1>
          <p className="lead">{t.workflows.lead}</p>
        </div>
        <div className="row">
          <Button icon={Upload} busy={bring.isPending} onClick={() => file.current?.click()}>
            {t.workflows.import}
          </Button>
          <Button kind="primary" icon={Plus} busy={create.isPending} onClick={add}>
            {t.workflows.create}
          </Button>
          <input
            ref={file}
            type="file"
            accept=".yaml,.yml,.json"
            multiple
            hidden
            aria-label={t.workflows.import}
            onChange={(e) => {
              void read(e.target.files)
              e.target.value = ''
            }}
          />
        </div>
      </div>
      <div className="filters">
        <div className="search">
          <Search size={15} aria-hidden />
          <input className="input" type="search" aria-label={t.workflows.search} placeholder={t.workflows.search} value={filter.query} onChange={(e) => setFilter({ ...filter, query: e.target.value })} />
        </div>
        <Segments label={t.workflows.status} value={filter.status} onChange={(status) => setFilter({ ...filter, status })} options={states.map((value) => ({ value, label: value ? t.status[value] : t.all }))} />
        {tags.length > 0 && (
          <div className="chips" role="group" aria-label={t.workflows.tags}>
            {tags.map((tag) => {
              const on = filter.tags.includes(tag)
              return (
                <button key={tag} type="button" className="chip" aria-pressed={on} onClick={() => setFilter({ ...filter, tags: on ? filter.tags.filter((x) => x !== tag) : [...filter.tags, tag] })}>
                  {tag}
                  {on && <X size={12} aria-hidden />}
                </button>
              )
            })}
          </div>
        )}
      </div>
      <div className="card">
        {list.isPending ? (
          <Bones rows={6} height={36} />
        ) : list.isError ? (
          <div style={{ padding: 16 }}>
            <Fault error={list.error} retry={() => void list.refetch()} />
          </div>
        ) : items.length === 0 ? (
          filtered ? (
            <Empty icon={SearchX} title={t.workflows.nothing} action={<Button onClick={() => setFilter({ query: '', status: '', tags: [] })}>{t.workflows.clear}</Button>}>
              {t.workflows.nothingHint}
            </Empty>
          ) : (
            <Empty icon={WorkflowIcon} title={t.workflows.none} action={<Button kind="primary" icon={Plus} onClick={add}>{t.workflows.create}</Button>}>
              {t.workflows.noneHint}
            </Empty>
          )
        ) : (
          <div className="table-scroll">
            <table className="table">
              <thead>
                <tr>
                  <th scope="col">{t.workflows.name}</th>
                  <th scope="col">{t.workflows.status}</th>
                  <th scope="col">{t.workflows.tags}</th>
                  <th scope="col">{t.workflows.owner}</th>
                  <th scope="col">{t.workflows.lastRun}</th>
                  <th scope="col">{t.workflows.changed}</th>
                  <th scope="col">
                    <span className="sr-only">{t.more}</span>
                  </th>
                </tr>
              </thead>
              <tbody>
                {items.map((w) => (
                  <Row key={w.id} workflow={w} owner={w.user_id === user?.id ? t.workflows.you : (names.data?.get(w.user_id) ?? '')} onGone={(away) => setGone((was) => { const next = new Set(was); if (away) next.add(w.id); else next.delete(w.id); return next })} />
                ))}
              </tbody>
            </table>
          </div>
        )}
      </div>
      {list.hasNextPage && (
        <div className="more-row">
          <Button busy={list.isFetchingNextPage} onClick={() => void list.fetchNextPage()}>
            {t.workflows.loadMore}
          </Button>
        </div>
      )}
      {over && (
        <div className="dropzone" aria-hidden>
          <FileUp size={28} />
          {t.workflows.drop}
        </div>
      )}
    </div>
  )
}

function Row({ workflow: w, owner, onGone }: { workflow: WorkflowSummary; owner: string; onGone: (away: boolean) => void }) {
  const actions = useWorkflowActions()
  const [, navigate] = useLocation()
  const remove = () => {
    onGone(true)
    laterWithUndo(
      w.id,
      t.workflows.deleted(w.name),
      () => actions.remove.mutate(w.id, { onError: (e) => { onGone(false); toastError(e) } }),
      () => onGone(false),
    )
  }
  const setStatus = (status: 'draft' | 'archived', tell = true) =>
    actions.setStatus.mutate(
      { id: w.id, status },
      {
        onSuccess: () => {
          if (tell && status === 'archived') toast(t.workflows.archived(w.name), { action: { label: t.undo, run: () => setStatus('draft', false) } })
        },
        onError: toastError,
      },
    )
  return (
    <tr>
      <td>
        <Link href={`/workflows/${w.id}`} className="cover title">
          {w.name}
        </Link>
        {w.description && <div className="muted sub clip">{w.description}</div>}
      </td>
      <td>
        <Status status={w.status} />
      </td>
      <td>
        <span className="tagline">
          {(w.tags ?? []).slice(0, 3).map((x) => (
            <span key={x} className="tag">
              {x}
            </span>
          ))}
        </span>
      </td>
      <td className="muted">
        <span className="clip owner">{owner}</span>
      </td>
      <td>
        {w.last_execution ? (
          <Link className="row above lastrun" href={`/executions/${w.last_execution.id}`}>
            <StatusIcon status={w.last_execution.status} size={15} />
            {ago(w.last_execution.created_at)}
          </Link>
        ) : (
          <span className="muted">{t.workflows.neverRan}</span>
        )}
      </td>
      <td className="muted nowrap">{ago(w.updated_at)}</td>
      <td className="actions">
        <div className="above">
          <Menu
            button={(p) => <Button kind="ghost" size="small" icon={MoreHorizontal} label={t.workflows.more(w.name)} {...p} />}
            items={[
              { label: t.workflows.open, icon: WorkflowIcon, run: () => navigate(`/workflows/${w.id}`) },
              { label: t.duplicate, icon: Copy, run: () => actions.duplicate.mutate(w.id, { onSuccess: (copy) => toast(copy.name), onError: toastError }) },
              { label: t.workflows.export, icon: Download, run: () => void download(w.id, w.name).catch(toastError) },
              w.status === 'archived'
                ? { label: t.workflows.unarchive, icon: ArchiveRestore, run: () => setStatus('draft') }
                : { label: t.workflows.archive, icon: Archive, run: () => setStatus('archived') },
              null,
              { label: t.delete, icon: Trash2, danger: true, run: remove },
            ]}
          />
        </div>
      </td>
    </tr>
  )
}
