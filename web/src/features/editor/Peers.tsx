import { ViewportPortal, useReactFlow, useStore } from '@xyflow/react'
import { MousePointer2 } from 'lucide-react'
import { useEffect } from 'react'
import type { Peer, Peers } from './presence'
import { originOf, type Graph, type Point } from '@/canvas/graph'
import { t } from '@/text'

/** One of the colours of peers, the same for a window as long as it is open. */
function tone(id: string): number {
  let sum = 0
  for (const c of id) sum = (sum * 31 + c.charCodeAt(0)) >>> 0
  return sum % 6
}

function initials(name: string): string {
  const words = name.split(/[\s@._-]+/).filter(Boolean)
  return ((words[0]?.[0] ?? '?') + (words.length > 1 && !name.includes('@') ? (words.at(-1)?.[0] ?? '') : '')).toUpperCase()
}

/** Who else has the workflow open. */
export function PeerFaces({ peers }: { peers: Peers }) {
  if (peers.size === 0) return null
  const list = [...peers.values()]
  return (
    <ul className="peer-faces" aria-label={t.editor.peers}>
      {list.slice(0, 5).map((p) => (
        <li key={p.id} className={`peer-face peer-${tone(p.id)}`} title={p.name} aria-label={p.name}>
          {initials(p.name)}
        </li>
      ))}
      {list.length > 5 && <li className="peer-face">+{list.length - 5}</li>}
    </ul>
  )
}

/** Where the others point; on the canvas, and out of reach of the pointer. */
export function PeerCursors({ peers, graph, onPoint }: { peers: Peers; graph: Graph; onPoint: (at: Point | undefined) => void }) {
  const flow = useReactFlow()
  const canvas = useStore((s) => s.domNode)
  useEffect(() => {
    if (!canvas) return undefined
    const move = (e: PointerEvent) => onPoint(flow.screenToFlowPosition({ x: e.clientX, y: e.clientY }, { snapToGrid: false }))
    const leave = () => onPoint(undefined)
    canvas.addEventListener('pointermove', move)
    canvas.addEventListener('pointerleave', leave)
    return () => {
      canvas.removeEventListener('pointermove', move)
      canvas.removeEventListener('pointerleave', leave)
    }
  }, [canvas, flow, onPoint])
  return (
    <ViewportPortal>
      {[...peers.values()].map((p) => {
        const at = placeOf(p, graph)
        return (
          at && (
            <div key={p.id} className={`peer-cursor peer-${tone(p.id)}`} style={{ transform: `translate(${at.x}px, ${at.y}px)` }} aria-hidden>
              <MousePointer2 size={16} />
              <span>{p.name}</span>
            </div>
          )
        )
      })}
    </ViewportPortal>
  )
}

/** Where somebody's pointer is, else the node that was chosen. */
function placeOf(p: Peer, graph: Graph): Point | undefined {
  if (p.at) return p.at
  return p.node && graph.nodes.some((n) => n.id === p.node) ? originOf(graph, p.node) : undefined
}
