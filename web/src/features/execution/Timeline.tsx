import { useEffect, useMemo, useState } from 'react'
import { bars, isOver, type RunState } from '@/run/state'
import { duration } from '@/ui/format'
import { StatusIcon } from '@/ui/kit'
import { t } from '@/text'

const atMost = 400

/** When each node ran, one bar each; the path on which the length hung stands out. */
export function Timeline({ state, titles, critical, onPick, now }: { state: RunState; titles: ReadonlyMap<string, string>; critical: ReadonlySet<string>; onPick: (node: string) => void; now: number | undefined }) {
  const [clock, setClock] = useState(Date.now)
  const live = now === undefined && !isOver(state.status)
  useEffect(() => {
    if (!live) return undefined
    const timer = setInterval(() => setClock(Date.now()), 250)
    return () => clearInterval(timer)
  }, [live])
  const end = now ?? (state.endedAt || clock)
  const list = useMemo(() => bars(state, end), [state, end])
  // Of the rounds of a node, the one that ended last is on the path.
  const ends = useMemo(() => {
    const out = new Map<string, number>()
    for (const b of list) out.set(b.nodeId, Math.max(out.get(b.nodeId) ?? 0, b.to))
    return out
  }, [list])
  const onPath = (b: { nodeId: string; to: number }) => critical.has(b.nodeId) && ends.get(b.nodeId) === b.to
  const from = state.startedAt || list[0]?.from || 0
  const span = Math.max(1, end - from)
  const ticks = [0, 0.25, 0.5, 0.75, 1]
  if (list.length === 0) return <p className="muted pad">{t.execution.noBars}</p>
  return (
    <div className="timeline" role="table" aria-label={t.run.timeline}>
      <div className="timeline-row head" role="row">
        <span role="columnheader">{t.execution.node}</span>
        <span className="ticks" role="columnheader">
          {ticks.map((x) => (
            <i key={x} ref={(e) => { if (e) e.style.left = `${x * 100}%` }}>
              {duration(span * x)}
            </i>
          ))}
        </span>
      </div>
      {list.slice(0, atMost).map((b) => (
        <div key={b.nodeId + b.iteration} className="timeline-row" role="row">
          <button type="button" role="cell" onClick={() => onPick(b.nodeId)}>
            <StatusIcon status={b.status} size={14} />
            <span className="clip">
              {titles.get(b.nodeId) ?? b.nodeId}
              {b.iteration && <span className="muted"> · {b.iteration.split('.').map((x) => Number(x) + 1).join(' · ')}</span>}
            </span>
          </button>
          <span className="track" role="cell">
            <span
              className={`span is-${b.status} ${onPath(b) ? 'critical' : ''}`}
              title={`${duration(b.to - b.from)}${onPath(b) ? `, ${t.run.critical}` : ''}`}
              ref={(e) => {
                if (!e) return
                e.style.left = `${((b.from - from) / span) * 100}%`
                e.style.width = `max(3px, ${((b.to - b.from) / span) * 100}%)`
              }}
            >
              <em>{duration(b.to - b.from)}</em>
            </span>
          </span>
        </div>
      ))}
    </div>
  )
}
