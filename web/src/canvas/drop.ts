import type { useReactFlow } from '@xyflow/react'
import { useState, type DragEvent } from 'react'
import type { Choice } from './choices'
import { groupAt, groupPad, nodeHeight, nodeWidth, originOf, type Connection, type Graph, type Kinds, type Point } from './graph'

const kindType = 'application/x-agentstudio-kind'
/** Told by its type, since what is dragged can be read only once it is dropped. */
const startType = 'application/x-agentstudio-start'

/** Where a dragged kind was let go; the point is inside of the group, if there is one. */
export interface Drop {
  at: Point
  group?: string
  connection?: Connection
}

/** Lets a kind be dragged onto a canvas. */
export function dragKind(e: DragEvent, choice: Choice): void {
  e.dataTransfer.setData(kindType, choice.key)
  if (choice.no_input) e.dataTransfer.setData(startType, choice.key)
  e.dataTransfer.effectAllowed = 'copy'
}

/** The connection under a point of the screen, unless a node lies over it. */
function connectionAt(x: number, y: number): string | undefined {
  for (const e of document.elementsFromPoint(x, y)) {
    if (e.closest('.node')) return undefined
    const id = e.closest<HTMLElement>('[data-connection]')?.dataset['connection'] ?? e.closest('.react-flow__edge')?.getAttribute('data-id')
    if (id) return id
  }
  return undefined
}

/** What a canvas does while a kind is dragged over it: shows where it would go, and says where it went. */
export function useDrop(graph: Graph, kinds: Kinds, flow: ReturnType<typeof useReactFlow>, find: (id: string) => Connection | undefined, onDrop: ((choice: string, to: Drop) => void) | undefined) {
  /** The id of the connection or group it would go into. */
  const [over, setOver] = useState<string>()
  const target = (e: DragEvent): { point: Point; connection?: string; group?: string } => {
    const point = flow.screenToFlowPosition({ x: e.clientX, y: e.clientY })
    if (e.dataTransfer.types.includes(startType)) return { point }
    const connection = connectionAt(e.clientX, e.clientY)
    if (connection) return { point, connection }
    const group = groupAt(graph, point, kinds)?.id
    return group ? { point, group } : { point }
  }
  if (!onDrop) return { over: undefined }
  return {
    over,
    onDragOver: (e: DragEvent) => {
      if (!e.dataTransfer.types.includes(kindType)) return
      e.preventDefault()
      e.dataTransfer.dropEffect = 'copy'
      const at = target(e)
      setOver(at.connection ?? at.group)
    },
    onDragLeave: () => setOver(undefined),
    onDrop: (e: DragEvent) => {
      const kind = e.dataTransfer.getData(kindType)
      if (!kind) return
      e.preventDefault()
      setOver(undefined)
      const to = target(e)
      const connection = to.connection ? find(to.connection) : undefined
      const group = connection ? graph.nodes.find((n) => n.id === connection.source)?.parent_id : to.group
      const origin = group ? originOf(graph, group) : { x: 0, y: 0 }
      const at = { x: to.point.x - origin.x - nodeWidth / 2, y: to.point.y - origin.y - nodeHeight / 2 }
      onDrop(kind, { at: group ? { x: Math.max(at.x, groupPad.side), y: Math.max(at.y, groupPad.top) } : at, ...(group ? { group } : {}), ...(connection ? { connection } : {}) })
    },
  }
}
