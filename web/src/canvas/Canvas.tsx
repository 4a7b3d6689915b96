import { BaseEdge, EdgeLabelRenderer, getBezierPath, Handle, MiniMap, Position, ReactFlow, SelectionMode, useReactFlow, useStore, useStoreApi, type Connection as FlowConnection, type Edge, type EdgeProps, type Node as FlowNode, type NodeChange, type NodeProps } from '@xyflow/react'
import '@xyflow/react/dist/base.css'
import { AlertTriangle, Pin, Plus } from 'lucide-react'
import { createContext, memo, useCallback, useContext, useDeferredValue, useEffect, useLayoutEffect, useMemo, useRef, useState, type ReactNode } from 'react'
import { useDrop, type Drop } from './drop'
import { handlesOf, nodeHeight, refusal, roomAt, sizeOf, takesInput, titleOf, type Connection, type Graph, type Kinds, type Node, type Point } from './graph'
import { iconOf } from './icons'
import './canvas.css'
import type { Change } from './diff'
import { saying, type NodeRun } from '@/run/state'
import { StatusIcon } from '@/ui/kit'
import { t } from '@/text'

interface CardData extends Record<string, unknown> {
  node: Node
  title: string
  kindTitle: string
  icon: string
  category: string
  handles: { name: string; title: string }[]
  input: boolean
  run: NodeRun | undefined
  rounds: string
  faults: number
  mark: Change | undefined
  editable: boolean
  lit: boolean
}

type Card = FlowNode<CardData>

interface Acts {
  insert?: (c: Connection) => void
  after?: (id: string, handle: string) => void
}
const ActsContext = createContext<Acts>({})
/** Whether the cards are seen from so far above that no word of them can be read. */
const FarContext = createContext(false)
const legible = 0.35

export interface CanvasProps {
  graph: Graph
  kinds: Kinds
  editable?: boolean
  runs?: ReadonlyMap<string, NodeRun> | undefined
  faults?: ReadonlyMap<string, number> | undefined
  marks?: ReadonlyMap<string, Change> | undefined
  lit?: ReadonlySet<string> | undefined
  selection: readonly string[]
  onSelect: (ids: string[]) => void
  onMove?: (to: Map<string, Point>) => void
  onConnect?: (c: Connection) => void
  onDisconnect?: (list: Connection[]) => void
  onInsert?: (c: Connection) => void
  onAfter?: (id: string, handle: string) => void
  onDropKind?: (kind: string, to: Drop) => void
  onOpen?: (id: string) => void
  children?: ReactNode
}

const nodeTypes = { card: memo(NodeCard), frame: memo(GroupCard) }
const edgeTypes = { line: memo(Line) }

export function edgeId(c: Connection): string {
  return `${c.source}:${c.source_handle || 'output'}>${c.target}`
}

export function Canvas(props: CanvasProps) {
  const { graph, kinds, editable = false, runs, faults, marks, lit, selection, onSelect, onMove, onConnect, onDisconnect } = props
  const [moving, setMoving] = useState<ReadonlyMap<string, Point>>(new Map())
  const [picked, setPicked] = useState<ReadonlySet<string>>(new Set()) // edges
  const cache = useRef(new Map<string, CardData>())
  const flow = useReactFlow()
  const store = useStoreApi()
  // Sizes and anchors are told with the nodes: reading them from the page would cost more than drawing it, and far cards have no handles.
  useState(() =>
    store.setState({
      updateNodeInternals: () => {
        const { fitViewQueued, nodes: now, setNodes } = store.getState()
        if (fitViewQueued) setNodes(now)
      },
    }),
  )
  // Hundreds of nodes are not drawn twice while they move.
  const many = graph.nodes.length > 200
  const { over, ...dropping } = useDrop(graph, kinds, flow, (id) => graph.connections.find((c) => edgeId(c) === id), editable ? props.onDropKind : undefined)
  // Hundreds of cards begin as plain boxes, and are filled in the background once one comes near.
  const small = useStore((s) => many && (s.width === 0 || s.transform[2] < legible))
  const far = useDeferredValue(small, many) || small
  useRoom()
  const [panning, setPanning] = useState(false)
  const rested = useRef<ReturnType<typeof setTimeout>>(undefined)
  // While the ground moves, nothing under the pointer lights up: it would be painted at every step.
  const moved = useRef<ReturnType<typeof setTimeout>>(undefined)
  const still = () => {
    clearTimeout(moved.current)
    store.getState().domNode?.classList.remove('moving', 'held')
  }
  useEffect(
    () => () => {
      clearTimeout(moved.current)
      clearTimeout(rested.current)
    },
    [],
  )

  const nodes = useMemo(() => {
    const next = new Map<string, CardData>()
    const chosen = new Set(selection)
    const depth = (n: Node): number => (n.parent_id ? 1 + depth(graph.nodes.find((x) => x.id === n.parent_id) ?? { id: '', kind: '' }) : 0)
    const list = graph.nodes.map((n): Card => {
      const kind = kinds.get(n.kind)
      const run = runs?.get(n.id)
      const data: CardData = {
        node: n,
        title: titleOf(n, kinds),
        kindTitle: kind?.title ?? n.kind,
        icon: kind?.icon ?? '',
        category: kind?.category ?? '',
        handles: handlesOf(n, kinds),
        input: takesInput(n, kinds),
        run,
        rounds: run && run.iterations.size > 1 ? `${run.counts['completed'] ?? 0}/${run.iterations.size}` : '',
        faults: faults?.get(n.id) ?? 0,
        mark: marks?.get(n.id),
        editable,
        lit: (lit?.has(n.id) ?? false) || over === n.id,
      }
      const was = cache.current.get(n.id)
      const kept = was && alike(was, data) ? was : data
      next.set(n.id, kept)
      const size = sizeOf(graph, n, kinds)
      const group = kind?.container ?? false
      const position = moving.get(n.id) ?? n.position ?? { x: 0, y: 0 }
      return {
        id: n.id,
        type: group ? 'frame' : 'card',
        position,
        ...(n.parent_id ? { parentId: n.parent_id } : {}),
        data: kept,
        width: size.width,
        height: size.height,
        measured: size,
        handles: anchors(kept, size, group),
        selected: chosen.has(n.id),
        draggable: editable,
        connectable: editable,
        zIndex: group ? 0 : 10,
        ariaLabel: `${kept.title}, ${kept.kindTitle}${run ? `, ${t.status[run.status] ?? run.status}` : ''}`,
      }
    })
    cache.current = next
    // React Flow wants a group before what is inside of it.
    return list.sort((a, b) => depth(a.data.node) - depth(b.data.node))
  }, [graph, kinds, runs, faults, marks, lit, selection, moving, editable, over])

  // Among very many, a connection offers its button once it is chosen.
  const few = graph.connections.length <= 100
  const edges = useMemo(
    () =>
      graph.connections.map((c): Edge => {
        const from = runs?.get(c.source)
        const to = runs?.get(c.target)
        const state = to?.status === 'running' ? 'running' : from?.status === 'completed' && to && to.status !== 'skipped' && to.status !== 'pending' ? 'done' : ''
        return {
          id: edgeId(c),
          type: 'line',
          source: c.source,
          target: c.target,
          sourceHandle: c.source_handle || 'output',
          targetHandle: 'input',
          selected: picked.has(edgeId(c)),
          className: over === edgeId(c) ? `${state} over` : state,
          data: { connection: c, editable: editable && (few || picked.has(edgeId(c))) },
          zIndex: graph.nodes.find((n) => n.id === c.source)?.parent_id ? 5 : 1,
          ariaLabel: `${c.source} → ${c.target}`,
        }
      }),
    [graph, runs, picked, editable, few, over],
  )

  const onNodesChange = useCallback(
    (changes: NodeChange<Card>[]) => {
      let chosen: Set<string> | undefined
      const drag = new Map<string, Point>()
      const done = new Map<string, Point>()
      for (const c of changes) {
        if (c.type === 'select') {
          chosen ??= new Set(selection)
          if (c.selected) chosen.add(c.id)
          else chosen.delete(c.id)
        } else if (c.type === 'position' && c.position) {
          if (c.dragging) drag.set(c.id, c.position)
          else done.set(c.id, c.position)
        }
      }
      if (chosen) onSelect([...chosen])
      if (drag.size) setMoving(drag)
      else if (done.size) {
        setMoving(new Map())
        onMove?.(done)
      }
    },
    [selection, onSelect, onMove],
  )

  const acts = useMemo<Acts>(() => ({ ...(props.onInsert ? { insert: props.onInsert } : {}), ...(props.onAfter ? { after: props.onAfter } : {}) }), [props.onInsert, props.onAfter])
  const connection = (c: FlowConnection | Edge): Connection => ({ source: c.source, target: c.target, ...(c.sourceHandle && c.sourceHandle !== 'output' ? { source_handle: c.sourceHandle } : {}) })

  useEffect(() => {
    if (!editable || !onDisconnect) return undefined
    const remove = (e: KeyboardEvent) => {
      if ((e.key === 'Delete' || e.key === 'Backspace') && picked.size && !selection.length && !/^(INPUT|TEXTAREA|SELECT)$/.test((e.target as HTMLElement).tagName)) {
        onDisconnect(graph.connections.filter((c) => picked.has(edgeId(c))))
        setPicked(new Set())
      }
    }
    addEventListener('keydown', remove)
    return () => removeEventListener('keydown', remove)
  }, [editable, onDisconnect, picked, selection, graph])

  return (
    <ActsContext.Provider value={acts}>
      <FarContext.Provider value={far}>
        <ReactFlow
          className={editable ? 'canvas editable' : 'canvas'}
          nodes={nodes}
          edges={edges}
          nodeTypes={nodeTypes}
          edgeTypes={edgeTypes}
          onNodesChange={onNodesChange}
          onEdgesChange={(changes) =>
            setPicked((was) => {
              const next = new Set(was)
              for (const c of changes) if (c.type === 'select') c.selected ? next.add(c.id) : next.delete(c.id)
              return next
            })
          }
          onConnect={(c) => onConnect?.(connection(c))}
          isValidConnection={(c) => refusal(graph, connection(c as FlowConnection), kinds) === ''}
          onNodeDoubleClick={(_, n) => props.onOpen?.(n.id)}
          {...dropping}
          deleteKeyCode={null}
          selectionKeyCode="Shift"
          multiSelectionKeyCode={['Shift', 'Meta', 'Control']}
          selectionMode={SelectionMode.Partial}
          nodesConnectable={editable}
          connectionRadius={36}
          fitView
          fitViewOptions={{ padding: 0.2, maxZoom: 1, minZoom: 0.2 }}
          minZoom={0.1}
          maxZoom={2}
          onlyRenderVisibleElements={graph.nodes.length > 1000}
          onMove={(e) => {
            if (!e) return
            clearTimeout(moved.current)
            clearTimeout(rested.current)
            const { domNode } = store.getState()
            domNode?.classList.add('moving')
            domNode?.classList.toggle('held', e.type === 'mousemove')
            moved.current = setTimeout(still, 250) // a move that ends where it began is not told as ended
            if (many) {
              setPanning(true)
              rested.current = setTimeout(() => setPanning(false), 800)
            }
          }}
          onMoveEnd={(_, at) => {
            still()
            // Between two pixels, what is moved as a picture would be blurred.
            const to = { ...at, x: Math.round(at.x), y: Math.round(at.y) }
            if (to.x !== at.x || to.y !== at.y) void flow.setViewport(to)
          }}
          proOptions={{ hideAttribution: true }}
          panOnScroll
          zoomOnDoubleClick={false}
          nodeDragThreshold={3}
          disableKeyboardA11y={!editable}
        >
          <Ground />
          {graph.nodes.length > 12 && !panning && <MiniMap pannable zoomable ariaLabel={t.canvas.map} nodeColor="var(--line-strong)" nodeBorderRadius={many ? 0 : 12} maskColor="var(--map-mask)" />}
          {props.children}
        </ReactFlow>
      </FarContext.Provider>
    </ActsContext.Provider>
  )
}

/** When a panel takes room at the right, what it would cover moves to the left, as far as there is room. */
function useRoom() {
  const store = useStoreApi()
  const flow = useReactFlow()
  const width = useStore((s) => s.width)
  const was = useRef(0)
  useLayoutEffect(() => {
    const before = was.current
    was.current = width
    if (!before || !width || width >= before) return
    const [x, y, zoom] = store.getState().transform
    const by = roomAt(flow.getNodesBounds(flow.getNodes()), x, zoom, width)
    if (by > 0) void flow.setViewport({ x: x - by, y, zoom })
  }, [width, store, flow])
}

const gap = 20

/**
 * The dots, and where all that is drawn on them stands. "translate" on its
 * own moves a layer without painting it anew; a "transform" that is kept as a
 * layer would keep the scale it was painted at too.
 */
function Ground() {
  const store = useStoreApi()
  const dots = useRef<HTMLDivElement>(null)
  useLayoutEffect(() => {
    let was = NaN
    const place = () => {
      const { domNode, transform } = store.getState()
      const [x, y, zoom] = transform
      const viewport = domNode?.querySelector<HTMLElement>('.react-flow__viewport')
      const ground = dots.current
      if (!viewport || !ground) return
      const step = gap * zoom
      viewport.style.translate = `${x}px ${y}px`
      ground.style.translate = `${(x % step) - step / 2}px ${(y % step) - step / 2}px`
      if (zoom === was) return
      was = zoom
      viewport.style.scale = `${zoom}`
      ground.hidden = zoom <= 0.4 // from far above they would be a grey that costs much to paint
      ground.style.setProperty('--gap', `${step}px`)
      ground.style.setProperty('--dot', `${0.7 * zoom}px`)
    }
    place()
    return store.subscribe(place)
  }, [store])
  return <div ref={dots} className="dots" aria-hidden />
}

function alike(a: CardData, b: CardData): boolean {
  for (const key of Object.keys(b)) {
    if (key === 'handles') {
      if (a.handles.map((h) => h.name).join() !== b.handles.map((h) => h.name).join()) return false
    } else if (a[key] !== b[key]) return false
  }
  return true
}

const dot = 12

/** Where lines begin and end; told, so that nothing has to be measured. */
function anchors(d: CardData, size: { width: number; height: number }, group: boolean) {
  const middle = group ? 26 : nodeHeight / 2
  const out = d.handles.map((h, i) => ({
    id: h.name,
    type: 'source' as const,
    position: Position.Right,
    x: size.width - dot / 2,
    y: (d.handles.length > 1 ? nodeHeight + i * 22 + 11 : middle) - dot / 2,
    width: dot,
    height: dot,
  }))
  return d.input ? [...out, { id: 'input', type: 'target' as const, position: Position.Left, x: -dot / 2, y: middle - dot / 2, width: dot, height: dot }] : out
}

function Outputs({ data, id, height }: { data: CardData; id: string; height: number }) {
  const acts = useContext(ActsContext)
  const several = data.handles.length > 1
  return (
    <>
      {data.handles.map((h, i) => (
        <div key={h.name} className={several ? 'port named' : 'port'} ref={(e) => { if (e) e.style.top = `${several ? height + i * 22 + 11 : height / 2}px` }}>
          {several && <span className={`port-name ${h.name === 'error' ? 'bad' : ''}`}>{h.title}</span>}
          <Handle type="source" position={Position.Right} id={h.name} />
          {data.editable && (
            <button type="button" className="port-add nodrag" tabIndex={-1} aria-label={t.canvas.addAfter(data.title)} title={t.canvas.addAfter(data.title)} onClick={() => acts.after?.(id, h.name)}>
              <Plus size={12} aria-hidden />
            </button>
          )}
        </div>
      ))}
    </>
  )
}

function Signs({ data }: { data: CardData }) {
  return (
    <span className="signs">
      {data.node.pinned_output !== undefined && <Pin size={13} role="img" aria-label={t.canvas.pinned} />}
      {data.rounds && <span className="rounds num">{data.rounds}</span>}
      {data.faults > 0 && <AlertTriangle size={15} color="var(--bad)" role="img" aria-label={t.canvas.faults(data.faults)} />}
      {data.run && data.run.status !== 'pending' && <StatusIcon status={data.run.status} size={16} />}
    </span>
  )
}

function classes(data: CardData, selected: boolean | undefined): string {
  return [selected ? 'selected' : '', data.run ? `is-${data.run.status}` : '', data.faults ? 'has-fault' : '', data.mark ? `mark-${data.mark}` : '', data.node.enabled === false ? 'off' : '', data.lit ? 'lit' : ''].join(' ')
}

function NodeCard({ id, data, selected }: NodeProps<Card>) {
  const Icon = iconOf(data.icon)
  if (useContext(FarContext)) return <div className={`node far cat-${data.category} ${classes(data, selected)}`} />
  return (
    <div className={`node ${classes(data, selected)}`}>
      {data.input && <Handle type="target" position={Position.Left} id="input" />}
      <div className="node-main">
        <span className={`node-icon cat-${data.category}`} aria-hidden>
          <Icon size={16} />
        </span>
        <span className="node-words">
          <span className="node-title clip">{data.title}</span>
          <span className="node-kind clip">{saying(data.run).slice(-80) || data.kindTitle}</span>
        </span>
        <Signs data={data} />
      </div>
      {data.mark && <span className="node-mark">{t.canvas.mark[data.mark]}</span>}
      <Outputs data={data} id={id} height={nodeHeight} />
    </div>
  )
}

function GroupCard({ id, data, selected }: NodeProps<Card>) {
  const Icon = iconOf(data.icon)
  return (
    <div className={`group ${classes(data, selected)}`}>
      {data.input && <Handle type="target" position={Position.Left} id="input" />}
      <div className="group-head">
        <span className={`node-icon cat-${data.category}`} aria-hidden>
          <Icon size={15} />
        </span>
        <span className="node-title clip grow">{data.title}</span>
        <Signs data={data} />
      </div>
      {data.mark && <span className="node-mark">{t.canvas.mark[data.mark]}</span>}
      <Outputs data={data} id={id} height={52} />
    </div>
  )
}

function Line(p: EdgeProps) {
  const acts = useContext(ActsContext)
  const far = useContext(FarContext)
  const [path, x, y] = getBezierPath(p)
  const { connection, editable } = p.data as { connection: Connection; editable: boolean }
  const label = useRef<HTMLButtonElement>(null)
  useEffect(() => {
    if (label.current) label.current.style.transform = `translate(-50%, -50%) translate(${x}px, ${y}px)`
  }, [x, y])
  return (
    <>
      <BaseEdge path={path} interactionWidth={far ? 0 : 20} />
      {editable && acts.insert && (
        <EdgeLabelRenderer>
          <button
            ref={label}
            type="button"
            tabIndex={-1}
            data-connection={p.id}
            className={p.selected ? 'edge-add shown' : 'edge-add'}
            aria-label={t.canvas.insert(connection.source, connection.target)}
            title={t.canvas.insertHere}
            onClick={() => acts.insert?.(connection)}
          >
            <Plus size={13} aria-hidden />
          </button>
        </EdgeLabelRenderer>
      )}
    </>
  )
}

