import { Search } from 'lucide-react'
import { useEffect, useId, useMemo, useRef, useState } from 'react'
import { best } from '@/app/match'
import { choicesOf, type Choice } from '@/canvas/choices'
import { dragKind } from '@/canvas/drop'
import type { Kinds } from '@/canvas/graph'
import { iconOf } from '@/canvas/icons'
import { Dialog } from '@/ui/kit'
import { t } from '@/text'

const groups = ['start', 'agents', 'tools', 'data', 'network', 'web', 'branch', 'flow', 'repeat', 'time', 'people', 'mcp']

/** Where a group stands; one that is not known yet comes last. */
function rank(group: string): number {
  const at = groups.indexOf(group)
  return at < 0 ? groups.length : at
}

/** Which kind of node to add: words, arrows and Enter, or a click. */
export function KindPicker({ kinds, starts, onPick, onClose, title }: { kinds: Kinds; starts: boolean; onPick: (choice: Choice) => void; onClose: () => void; title: string }) {
  return (
    <Dialog open onClose={onClose} title={title}>
      <KindList kinds={kinds} starts={starts} onPick={onPick} autoFocus />
    </Dialog>
  )
}

/** The kinds by their groups; where they can be dragged, onto a canvas. */
export function KindList({ kinds, starts, onPick, autoFocus, drag, label = t.editor.search }: { kinds: Kinds; starts: boolean; onPick: (choice: Choice) => void; autoFocus?: boolean; drag?: boolean; label?: string }) {
  const [query, setQuery] = useState('')
  const [at, setAt] = useState(0)
  const id = useId()
  const input = useRef<HTMLInputElement>(null)
  const list = useMemo(() => {
    const all = choicesOf(kinds).filter((k) => starts || !k.no_input)
    const found = best(query, all, (k) => `${k.title} ${k.kind} ${k.description}`)
    return query.trim() ? found : found.sort((a, b) => rank(a.category) - rank(b.category))
  }, [kinds, starts, query])
  const chosen = Math.min(at, Math.max(0, list.length - 1))
  useEffect(() => {
    if (autoFocus) input.current?.focus()
  }, [autoFocus])
  useEffect(() => {
    document.getElementById(`${id}-${chosen}`)?.scrollIntoView({ block: 'nearest' })
  }, [chosen, id])
  let before = ''
  return (
    <div className="kinds">
      <div className="search">
        <Search size={15} aria-hidden />
        <input
          ref={input}
          className="input"
          type="search"
          role="combobox"
          aria-expanded="true"
          aria-controls={id}
          aria-activedescendant={list.length ? `${id}-${chosen}` : undefined}
          aria-label={label}
          placeholder={label}
          value={query}
          onChange={(e) => {
            setQuery(e.target.value)
            setAt(0)
          }}
          onKeyDown={(e) => {
            if (e.key === 'ArrowDown') setAt((chosen + 1) % Math.max(1, list.length))
            else if (e.key === 'ArrowUp') setAt((chosen - 1 + list.length) % Math.max(1, list.length))
            else if (e.key === 'Enter') {
              const kind = list[chosen]
              if (kind) onPick(kind)
            } else return
            e.preventDefault()
          }}
        />
      </div>
      <div className="kinds-list" id={id} role="listbox" aria-label={t.editor.add}>
        {list.length === 0 && <p className="muted pad">{t.editor.nothing}</p>}
        {list.map((k, i) => {
          const Icon = iconOf(k.icon)
          const head = !query.trim() && k.category !== before
          before = k.category
          return (
            <div key={k.key} role="presentation">
              {head && (
                <div className="kinds-group" role="presentation">
                  {t.editor.categories[k.category] ?? k.category}
                </div>
              )}
              <div
                id={`${id}-${i}`}
                role="option"
                aria-selected={i === chosen}
                className="kind"
                draggable={drag}
                onDragStart={(e) => dragKind(e, k)}
                onMouseMove={() => setAt(i)}
                onClick={() => onPick(k)}
              >
                <span className={`node-icon cat-${k.category}`} aria-hidden>
                  <Icon size={15} />
                </span>
                <span className="grow">
                  <span className="node-title clip">{k.title}</span>
                  <span className="node-kind clip">{k.description.split('. ')[0]}</span>
                </span>
              </div>
            </div>
          )
        })}
      </div>
    </div>
  )
}
