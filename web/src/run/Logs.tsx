import { useEffect, useMemo, useRef, useState } from 'react'
import type { LogLine } from './state'
import './run.css'
import { Segments } from '@/ui/kit'
import { t } from '@/text'

const lineHeight = 24
const levels = ['debug', 'info', 'warn', 'error']

/** Any number of lines: only those in sight are drawn; the end is followed. */
export function Logs({ lines, titles, node }: { lines: readonly LogLine[]; titles: ReadonlyMap<string, string>; node?: string }) {
  const [level, setLevel] = useState('debug')
  const [top, setTop] = useState(0)
  const [height, setHeight] = useState(300)
  const [follow, setFollow] = useState(true)
  const box = useRef<HTMLDivElement>(null)
  const shown = useMemo(() => {
    const least = levels.indexOf(level)
    return lines.filter((l) => levels.indexOf(l.level) >= least && (!node || l.nodeId === node))
  }, [lines, level, node])
  useEffect(() => {
    const e = box.current
    if (!e) return undefined
    const watch = new ResizeObserver(() => setHeight(e.clientHeight))
    watch.observe(e)
    return () => watch.disconnect()
  }, [])
  useEffect(() => {
    if (follow && box.current) box.current.scrollTop = box.current.scrollHeight
  }, [shown.length, follow, height])
  const first = Math.max(0, Math.floor(top / lineHeight) - 10)
  const last = Math.min(shown.length, first + Math.ceil(height / lineHeight) + 20)
  return (
    <div className="logs">
      <div className="logs-bar">
        <Segments label={t.run.level} value={level} onChange={setLevel} options={levels.map((value) => ({ value, label: t.run.levels[value] }))} />
        <span className="grow" />
        <span className="muted num">{t.run.lines(shown.length)}</span>
      </div>
      <div
        ref={box}
        className="logs-lines"
        tabIndex={0}
        role="log"
        aria-label={t.run.logs}
        onScroll={(e) => {
          const at = e.currentTarget
          setTop(at.scrollTop)
          setFollow(at.scrollTop + at.clientHeight >= at.scrollHeight - 4)
        }}
      >
        {shown.length === 0 && <p className="muted pad">{t.run.noLogs}</p>}
        <div ref={(e) => { if (e) e.style.height = `${first * lineHeight}px` }} />
        {shown.slice(first, last).map((l, i) => (
          <div key={`${l.seq}-${first + i}`} className={`log-line ${l.level}`}>
            <time>{l.at.slice(11, 23)}</time>
            <b>{t.run.levels[l.level] ?? l.level}</b>
            <span className="log-node clip">{titles.get(l.nodeId) ?? l.nodeId}</span>
            <span className="clip grow" title={l.message}>
              {l.message}
            </span>
          </div>
        ))}
        <div ref={(e) => { if (e) e.style.height = `${(shown.length - last) * lineHeight}px` }} />
      </div>
    </div>
  )
}
