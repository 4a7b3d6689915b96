import { ReactFlowProvider, useReactFlow } from '@xyflow/react'
import { AlertTriangle, CheckCircle2, CloudOff, Globe2, History, Loader2, Maximize, PenLine, Play, Plus, Redo2, Undo2, Wand2, Workflow as WorkflowIcon, ZoomIn, ZoomOut } from 'lucide-react'
import { useCallback, useEffect, useMemo, useState } from 'react'
import { useLocation, useParams, useSearchParams } from 'wouter'
import { ConflictDialog, ConnectDialog, PublishDialog, VersionsPanel } from './Dialogs'
import { definitionDraft } from './draft'
import { KindPalette, usePaletteOpen } from './KindPalette'
import { KindPicker } from './KindPicker'
import { NodePanel } from './NodePanel'
import { PeerCursors, PeerFaces } from './Peers'
import { useLastRun, useOpenWorkflow, useSetStatus, useVersion, type Workflow } from './queries'
import { RunDialog, startsOf, type Start } from './RunDialog'
import { RunPanel } from './RunPanel'
import { useEditor } from './useEditor'
import { usePresence } from './usePresence'
import { useEditorCommands } from './commands'
import '@/app/bench.css'
import './editor.css'
import { ApiError, type Tagged } from '@/api/client'
import { Missing } from '@/app/App'
import { Canvas } from '@/canvas/Canvas'
import { diffNodes } from '@/canvas/diff'
import { choiceOf, type Choice } from '@/canvas/choices'
import { addNode, connect, disconnect, handlesOf, insertOn, makeRoom, moveNodes, newNode, nodeOf, overlaps, refusal, titleOf, type Connection, type Kinds } from '@/canvas/graph'
import { layout } from '@/canvas/layout'
import { useKinds } from '@/canvas/queries'
import { isOver, useExecution, useRun, useRunActions } from '@/run/queries'
import { Bones, Button, Empty, Fault, Menu, Status } from '@/ui/kit'
import { toast, toastError } from '@/ui/toast'
import { t } from '@/text'

export default function EditorPage() {
  const { id = '' } = useParams<{ id: string }>()
  const opened = useOpenWorkflow(id)
  const kinds = useKinds()
  if (opened.isError) return opened.error instanceof ApiError && (opened.error.missing || opened.error.status === 422) ? <Missing /> : <Fault error={opened.error} retry={() => void opened.refetch()} />
  if (!opened.data || kinds.size === 0) return <Bones rows={4} height={64} />
  return (
    <ReactFlowProvider key={id}>
      <Editing opened={opened.data} kinds={kinds} />
    </ReactFlowProvider>
  )
}

/** Where a node that is being chosen will go. */
type Place = { kind: 'free' } | { kind: 'after'; id: string; handle: string } | { kind: 'on'; connection: Connection }

function Editing({ opened, kinds }: { opened: Tagged<Workflow>; kinds: Kinds }) {
  const editor = useEditor(opened)
  const { draft } = editor
  const flow = useReactFlow()
  const [, navigate] = useLocation()
  const [params] = useSearchParams()
  const [selection, setSelection] = useState<string[]>([])
  const [panel, setPanel] = useState<'node' | 'versions' | null>(null)
  const [place, setPlace] = useState<Place>()
  const [dialog, setDialog] = useState<'run' | 'publish' | 'connect' | null>(() => (params.has('run') ? 'run' : null))
  const [shownVersion, setShownVersion] = useState<number>()
  const [runId, setRunId] = useState<string>()
  /** The node that is tried out: the run that is asked for ends with it. */
  const [until, setUntil] = useState<string>()
  const [runOpen, setRunOpen] = useState(false)
  const [paletteOpen, setPaletteOpen] = usePaletteOpen()
  const actions = useRunActions()
  const setStatus = useSetStatus(editor.id)

  // A drawing nobody has made is arranged before it is shown.
  useEffect(() => {
    if (overlaps(draft, kinds)) {
      const arranged = layout(draft, kinds)
      editor.replace({ ...draft, nodes: arranged.nodes })
      requestAnimationFrame(() => void flow.fitView({ padding: 0.2, maxZoom: 1 }))
    }
    if (params.has('run')) navigate(`/workflows/${editor.id}`, { replace: true })
  }, []) // eslint-disable-line react-hooks/exhaustive-deps
  useEffect(() => {
    document.title = `${draft.name} · ${t.name}`
    return () => void (document.title = t.name)
  }, [draft.name])

  // The run that is watched, else the last one: its data is what expressions are shown with.
  const last = useLastRun(editor.id)
  const dataRun = runId ?? last.data ?? undefined
  const run = useRun(dataRun)
  const over = isOver(run.state.status)
  const waiting = [...run.state.nodes.values()].filter((n) => n.status === 'waiting').length
  const detail = useExecution(dataRun, `${run.state.status}${waiting}`)
  const outputs = useMemo(() => new Map((detail.data?.nodes ?? []).filter((n) => n.output !== undefined && n.iteration === '').map((n) => [n.node_id, n.output as unknown])), [detail.data])

  const problems = useMemo(() => [...(editor.report?.errors ?? []), ...(editor.report?.warnings ?? [])], [editor.report])
  const faults = useMemo(() => {
    const out = new Map<string, number>()
    for (const p of editor.report?.errors ?? []) if (p.node_id) out.set(p.node_id, (out.get(p.node_id) ?? 0) + 1)
    return out
  }, [editor.report])
  const version = useVersion(editor.id, panel === 'versions' ? shownVersion : undefined)
  const compared = version.data?.definition && panel === 'versions' && shownVersion === version.data.version ? definitionDraft(version.data.definition) : undefined
  // What is gone since then is drawn too, where it stood.
  const shown = useMemo(() => {
    if (!compared) return { graph: draft, marks: undefined }
    const marks = diffNodes(compared, draft)
    const gone = compared.nodes.filter((n) => marks.get(n.id) === 'removed')
    return { graph: { nodes: [...draft.nodes, ...gone], connections: draft.connections }, marks }
  }, [compared, draft])
  const titles = useMemo(() => new Map(draft.nodes.map((n) => [n.id, titleOf(n, kinds)])), [draft.nodes, kinds])

  const chosen = selection.length === 1 ? nodeOf(draft, selection[0] ?? '') : undefined
  const others = usePresence(editor.id, chosen?.id)
  const pick = useCallback((id: string) => {
    setSelection([id])
    setPanel('node')
  }, [])
  const select = useCallback((ids: string[]) => {
    setSelection(ids)
    if (ids.length === 1) setPanel((was) => (was === 'versions' ? was : 'node'))
  }, [])

  const add = useCallback(
    (kind: Choice, where: Place, at?: { x: number; y: number }, group?: string) => {
      let point = at
      let parent = group
      if (where.kind === 'after') {
        const before = nodeOf(draft, where.id)
        parent = before?.parent_id
        const others = draft.connections.filter((c) => c.source === where.id).length
        point = { x: (before?.position?.x ?? 0) + (kinds.get(before?.kind ?? '')?.container ? 340 : 256), y: (before?.position?.y ?? 0) + others * 88 }
      } else if (where.kind === 'on') {
        const a = nodeOf(draft, where.connection.source)
        const b = nodeOf(draft, where.connection.target)
        parent = a?.parent_id
        point ??= { x: ((a?.position?.x ?? 0) + (b?.position?.x ?? 0)) / 2, y: ((a?.position?.y ?? 0) + (b?.position?.y ?? 0)) / 2 + 16 }
      }
      if (!point) {
        const box = document.querySelector('.canvas')?.getBoundingClientRect()
        point = flow.screenToFlowPosition({ x: (box?.left ?? 0) + (box?.width ?? 800) / 2 - 92, y: (box?.top ?? 0) + (box?.height ?? 600) / 2 - 28 })
      }
      const node = newNode(draft, kind, point, parent)
      let next = addNode(draft, node)
      if (where.kind === 'on') next = insertOn(draft, where.connection, node, kinds)
      else if (where.kind === 'after') next = connect(next, { source: where.id, target: node.id, source_handle: where.handle }, kinds)
      if (where.kind !== 'free') next = makeRoom(next, node.id, kinds)
      editor.changeGraph(draft, next)
      setSelection([node.id])
      setPanel('node')
      setPlace(undefined)
    },
    [draft, kinds, flow, editor],
  )
  const link = useCallback(
    (c: Connection) => {
      const why = refusal(draft, c, kinds)
      if (why) toast(t.editor.refused[why] ?? why, { tone: 'bad' })
      else editor.changeGraph(draft, connect(draft, c, kinds))
    },
    [draft, kinds, editor],
  )
  // When a panel takes room from the canvas, what matters stays in sight.
  useEffect(() => {
    const timer = setTimeout(() => void flow.fitView({ padding: 0.16, maxZoom: 1, duration: 200 }), 60)
    return () => clearTimeout(timer)
  }, [runOpen, paletteOpen, flow])
  useEffect(() => {
    if (panel !== 'node' || !chosen) return undefined
    const timer = setTimeout(() => {
      const box = document.querySelector('.canvas')?.getBoundingClientRect()
      const card = document.querySelector(`.react-flow__node[data-id="${CSS.escape(chosen.id)}"]`)?.getBoundingClientRect()
      if (!box || !card || (card.left >= box.left && card.right <= box.right && card.top >= box.top && card.bottom <= box.bottom)) return
      const at = flow.getViewport()
      void flow.setViewport({ ...at, x: at.x + box.left + box.width / 2 - (card.left + card.width / 2), y: at.y + (card.top < box.top || card.bottom > box.bottom ? box.top + box.height / 2 - card.top : 0) }, { duration: 200 })
    }, 60)
    return () => clearTimeout(timer)
  }, [panel, chosen?.id, flow]) // eslint-disable-line react-hooks/exhaustive-deps
  const insert = useCallback((connection: Connection) => setPlace({ kind: 'on', connection }), [])
  const after = useCallback((id: string, handle: string) => setPlace({ kind: 'after', id, handle }), [])

  const starts = startsOf(draft, kinds)
  const begin = async (start: Start) => {
    if (!(await editor.saver.flush())) {
      toast(editor.saver.error instanceof Error ? editor.saver.error.message : t.editor.save[editor.saver.state], { tone: 'bad' })
      return
    }
    actions.start.mutate(
      { workflow_id: editor.id, trigger_data: start.trigger_data, ...(start.start_node ? { start_node: start.start_node } : {}), ...(until ? { until } : {}) },
      {
        onSuccess: (x) => {
          setRunId(x.id)
          setRunOpen(true)
          setDialog(null)
        },
      },
    )
  }
  const askRun = (upTo?: string) => {
    actions.start.reset()
    setUntil(upTo)
    setDialog('run')
  }
  const next: Place = chosen ? { kind: 'after', id: chosen.id, handle: handlesOf(chosen, kinds)[0]?.name ?? 'output' } : { kind: 'free' }
  const askAdd = () => setPlace(next)

  useEditorCommands({ editor, kinds, selection, setSelection, flow, askAdd, askRun: () => askRun(), askConnect: () => chosen && setDialog('connect'), openPanel: () => setPanel('node'), openVersions: () => setPanel('versions'), askPublish: () => setDialog('publish'), togglePalette: () => setPaletteOpen(!paletteOpen) })

  const again = async (node: string, alone: boolean) => {
    if (!dataRun || !(await editor.saver.flush())) return
    actions.retry.mutate(
      { id: dataRun, from: node, version: editor.saver.tag ? Number(/\d+/.exec(editor.saver.tag)?.[0] ?? 0) || editor.stored.version : editor.stored.version, ...(alone ? { until: node } : {}) },
      {
        onSuccess: (x) => {
          setRunId(x.id)
          setRunOpen(true)
        },
        onError: toastError,
      },
    )
  }
  const retryFrom = (node: string) => (dataRun && over ? () => void again(node, false) : undefined)
  // Alone on the data of the last run; without one, with all that leads to it.
  const testOf = (node: string) => (starts.length === 0 || (dataRun && !over) ? undefined : dataRun ? () => void again(node, true) : () => askRun(node))

  return (
    <div className="editor">
      <header className="editor-bar">
        <input className="editor-name" aria-label={t.editor.name} value={draft.name} maxLength={255} onChange={(e) => editor.change({ ...draft, name: e.target.value }, 'name')} onBlur={editor.settle} />
        <Status status={editor.stored.status} />
        <SaveSign editor={editor} />
        <span className="grow" />
        <PeerFaces peers={others.peers} />
        <Problems problems={problems} errors={editor.report?.errors?.length ?? 0} known={!!editor.report} onPick={pick} />
        <span className="bar-group">
          <Button kind="ghost" icon={Undo2} label={t.editor.undo} disabled={!editor.canUndo} onClick={editor.undo} />
          <Button kind="ghost" icon={Redo2} label={t.editor.redo} disabled={!editor.canRedo} onClick={editor.redo} />
        </span>
        <Button kind="ghost" icon={History} label={t.editor.versions} aria-pressed={panel === 'versions'} onClick={() => setPanel(panel === 'versions' ? null : 'versions')} />
        {editor.stored.status === 'published' ? (
          <Menu
            about={t.editor.publishedAs(editor.stored.published_version ?? 0)}
            button={(p) => (
              <Button icon={Globe2} {...p}>
                {t.editor.publish}
              </Button>
            )}
            items={[
              { label: t.editor.publish, icon: Globe2, run: () => setDialog('publish') },
              {
                label: t.editor.unpublish,
                icon: PenLine,
                run: () =>
                  setStatus.mutate('draft', {
                    onSuccess: (now) => {
                      editor.setStored(now.value)
                      editor.saver.settle(now.etag)
                      toast(t.editor.offline)
                    },
                    onError: toastError,
                  }),
              },
            ]}
          />
        ) : (
          <Button icon={Globe2} onClick={() => setDialog('publish')}>
            {t.editor.publish}
          </Button>
        )}
        <Button kind="primary" icon={Play} busy={!!runId && !over} disabled={starts.length === 0 || (!!runId && !over)} onClick={() => askRun()}>
          {runId && !over ? t.editor.running : t.editor.run}
        </Button>
      </header>
      <div className="editor-main">
        {!compared && <KindPalette kinds={kinds} open={paletteOpen} onOpen={setPaletteOpen} onPick={(kind) => add(kind, kind.no_input ? { kind: 'free' } : next)} />}
        <div className="editor-left">
          <div className="editor-canvas">
            <Canvas
              graph={shown.graph}
              kinds={kinds}
              editable={!compared}
              runs={runOpen && runId ? run.state.nodes : undefined}
              faults={faults}
              marks={shown.marks}
              selection={selection}
              onSelect={select}
              onMove={(to) => editor.changeGraph(draft, moveNodes(draft, to))}
              onConnect={link}
              onDisconnect={(list) => editor.changeGraph(draft, disconnect(draft, list))}
              onInsert={insert}
              onAfter={after}
              onOpen={pick}
              onDropKind={(name, to) => {
                const kind = choiceOf(kinds, name)
                if (kind) add(kind, to.connection ? { kind: 'on', connection: to.connection } : { kind: 'free' }, to.at, to.group)
              }}
            >
              <PeerCursors peers={others.peers} graph={draft} onPoint={others.point} />
            </Canvas>
            {draft.nodes.length === 0 && (
              <div className="canvas-empty">
                <Empty icon={WorkflowIcon} title={t.editor.empty} action={<Button kind="primary" icon={Plus} onClick={askAdd}>{t.editor.emptyAction}</Button>}>
                  {t.editor.emptyHint}
                </Empty>
              </div>
            )}
            {compared ? (
              <div className="comparing">
                {t.editor.viewing(shownVersion ?? 0)}
                <Button size="small" onClick={() => setShownVersion(undefined)}>
                  {t.editor.leaveDiff}
                </Button>
              </div>
            ) : (
              <Toolbar askAdd={askAdd} onLayout={() => { editor.changeGraph(draft, layout(draft, kinds)); requestAnimationFrame(() => void flow.fitView({ padding: 0.2, maxZoom: 1, duration: 200 })) }} />
            )}
          </div>
          {runOpen && runId && <RunPanel id={runId} run={run} detail={detail.data} titles={titles} onPick={pick} onClose={() => setRunOpen(false)} />}
        </div>
        {panel === 'versions' ? (
          <VersionsPanel editor={editor} chosen={shownVersion} onChoose={setShownVersion} onClose={() => { setPanel(null); setShownVersion(undefined) }} />
        ) : panel === 'node' && chosen ? (
          <NodePanel
            key={chosen.id}
            editor={editor}
            node={chosen}
            kinds={kinds}
            problems={(editor.report?.errors ?? []).filter((p) => p.node_id === chosen.id)}
            warnings={(editor.report?.warnings ?? []).filter((p) => p.node_id === chosen.id)}
            runId={dataRun}
            run={run.state.nodes.get(chosen.id)}
            outputs={outputs}
            trigger={detail.data?.trigger_data}
            onClose={() => setPanel(null)}
            onRetry={retryFrom(chosen.id)}
            onTest={testOf(chosen.id)}
          />
        ) : null}
      </div>
      {place && <KindPicker kinds={kinds} starts={place.kind === 'free'} title={t.editor.add} onPick={(kind) => add(kind, place)} onClose={() => setPlace(undefined)} />}
      {dialog === 'run' && <RunDialog title={until ? t.editor.testTitle(titles.get(until) ?? until) : t.editor.runTitle} workflowId={editor.id} starts={starts} kinds={kinds} busy={actions.start.isPending} error={actions.start.error} onRun={(s) => void begin(s)} onClose={() => setDialog(null)} />}
      {dialog === 'publish' && <PublishDialog editor={editor} report={editor.report} onPick={pick} onClose={() => setDialog(null)} />}
      {dialog === 'connect' && chosen && (
        <ConnectDialog
          editor={editor}
          node={chosen}
          kinds={kinds}
          onClose={(c) => {
            setDialog(null)
            if (c) link(c)
          }}
        />
      )}
      <ConflictDialog editor={editor} kinds={kinds} />
    </div>
  )
}

function SaveSign({ editor }: { editor: ReturnType<typeof useEditor> }) {
  const { state } = editor
  const Icon = state === 'saving' ? Loader2 : state === 'saved' ? CheckCircle2 : state === 'offline' ? CloudOff : state === 'dirty' ? PenLine : AlertTriangle
  const tone = state === 'offline' ? 'wait' : state === 'refused' || state === 'conflict' ? 'bad' : 'idle'
  const why = state === 'refused' && editor.saver.error instanceof Error ? editor.saver.error.message : undefined
  return (
    <span role="status" aria-live="polite" className={`save-sign tone-${tone}`} title={why}>
      <Icon size={14} className={state === 'saving' ? 'spin' : undefined} aria-hidden />
      {t.editor.save[state]}
      {why && <span className="clip why">{why}</span>}
    </span>
  )
}

function Problems({ problems, errors, known, onPick }: { problems: { message: string; node_id?: string }[]; errors: number; known: boolean; onPick: (node: string) => void }) {
  if (!known) return null
  if (problems.length === 0)
    return (
      <span className="save-sign">
        <CheckCircle2 size={14} color="var(--ok)" aria-hidden />
        {t.editor.noProblems}
      </span>
    )
  return (
    <Menu
      about={t.editor.problems}
      button={(p) => (
        <button type="button" className={`problems ${errors ? 'tone-bad' : 'tone-wait'}`} {...p}>
          <AlertTriangle size={14} aria-hidden />
          {errors ? t.editor.problemsOf(problems.length) : t.editor.hintsOf(problems.length)}
        </button>
      )}
      items={problems.slice(0, 30).map((p) => ({ label: p.message, icon: AlertTriangle, run: () => p.node_id && onPick(p.node_id) }))}
    />
  )
}

function Toolbar({ askAdd, onLayout }: { askAdd: () => void; onLayout: () => void }) {
  const flow = useReactFlow()
  return (
    <div className="toolbar" role="toolbar" aria-label={t.editor.group}>
      <Button kind="primary" icon={Plus} label={t.editor.add} onClick={askAdd} />
      <span className="rule" />
      <Button kind="ghost" icon={Wand2} label={t.editor.layout} onClick={onLayout} />
      <Button kind="ghost" icon={ZoomOut} label={t.editor.zoomOut} onClick={() => void flow.zoomOut({ duration: 120 })} />
      <Button kind="ghost" icon={ZoomIn} label={t.editor.zoomIn} onClick={() => void flow.zoomIn({ duration: 120 })} />
      <Button kind="ghost" icon={Maximize} label={t.editor.fit} onClick={() => void flow.fitView({ padding: 0.2, maxZoom: 1, duration: 200 })} />
    </div>
  )
}

