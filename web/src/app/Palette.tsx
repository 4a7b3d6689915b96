import { useQuery } from '@tanstack/react-query'
import { Search, Workflow } from 'lucide-react'
import { useEffect, useId, useMemo, useRef, useState } from 'react'
import { useLocation } from 'wouter'
import { keyCaps, useAllCommands, type Command } from './commands'
import { best } from './match'
import { api, body } from '@/api/client'
import { keys } from '@/api/keys'
import { t } from '@/text'

/** Everything one can do or go to, by a few letters. */
export function Palette({ onClose }: { onClose: () => void }) {
  const [query, setQuery] = useState('')
  const [at, setAt] = useState(0)
  const [, navigate] = useLocation()
  const all = useAllCommands()
  const dialog = useRef<HTMLDialogElement>(null)
  const list = useId()

  useEffect(() => {
    const before = document.activeElement as HTMLElement | null
    dialog.current?.showModal()
    return () => before?.focus?.()
  }, [])

  const workflows = useQuery({
    queryKey: keys.workflowList({ palette: true }),
    queryFn: () => body(api.GET('/api/v1/workflows', { params: { query: { limit: 100 } } })),
    staleTime: 60_000,
  })

  const found = useMemo(() => {
    const offered = all.filter((c) => !c.hidden)
    const opens: Command[] = (workflows.data?.items ?? []).map((w) => ({
      id: w.id,
      title: w.name,
      group: t.palette.workflows,
      icon: Workflow,
      words: (w.tags ?? []).join(' '),
      run: () => navigate(`/workflows/${w.id}`),
    }))
    if (!query.trim()) return [...offered, ...opens.slice(0, 5)]
    return best(query, [...offered, ...opens], (c) => `${c.title} ${c.words ?? ''}`).slice(0, 40)
  }, [all, workflows.data, query, navigate])

  const groups = useMemo(() => {
    const out = new Map<string, Command[]>()
    for (const c of found) out.set(c.group, [...(out.get(c.group) ?? []), c])
    return [...out]
  }, [found])
  const flat = groups.flatMap(([, list]) => list)
  const chosen = Math.min(at, Math.max(0, flat.length - 1))

  useEffect(() => {
    document.getElementById(`${list}-${chosen}`)?.scrollIntoView({ block: 'nearest' })
  }, [chosen, list])

  const run = (c: Command | undefined) => {
    if (!c) return
    onClose()
    c.run()
  }

  let index = -1
  return (
    <dialog
      ref={dialog}
      className="palette"
      aria-label={t.palette.label}
      onCancel={(e) => {
        e.preventDefault()
        onClose()
      }}
      onMouseDown={(e) => {
        if (e.target === dialog.current) onClose()
      }}
    >
      <div className="palette-search">
        <Search size={18} aria-hidden />
        <input
          autoFocus
          role="combobox"
          aria-expanded="true"
          aria-controls={list}
          aria-activedescendant={flat.length ? `${list}-${chosen}` : undefined}
          aria-label={t.palette.label}
          placeholder={t.palette.placeholder}
          value={query}
          onChange={(e) => {
            setQuery(e.target.value)
            setAt(0)
          }}
          onKeyDown={(e) => {
            if (e.key === 'ArrowDown') setAt((chosen + 1) % Math.max(1, flat.length))
            else if (e.key === 'ArrowUp') setAt((chosen - 1 + flat.length) % Math.max(1, flat.length))
            else if (e.key === 'Enter') run(flat[chosen])
            else return
            e.preventDefault()
          }}
        />
      </div>
      <div className="palette-list" id={list} role="listbox" aria-label={t.palette.label}>
        {flat.length === 0 && (
          <div className="empty slim" role="presentation">
            <strong>{t.palette.nothing}</strong>
            <p>{t.palette.nothingHint}</p>
          </div>
        )}
        {groups.map(([group, items]) => (
          <div key={group} role="group" aria-label={group}>
            <div className="palette-group" aria-hidden>
              {group}
            </div>
            {items.map((c) => {
              index++
              const mine = index
              return (
                <div
                  key={c.id}
                  id={`${list}-${mine}`}
                  role="option"
                  aria-selected={mine === chosen}
                  className="palette-item"
                  onMouseMove={() => setAt(mine)}
                  onClick={() => run(c)}
                >
                  {c.icon && <c.icon size={16} aria-hidden />}
                  <span className="grow clip">{c.title}</span>
                  {c.keys && (
                    <span className="caps">
                      {keyCaps(c.keys.split(' | ')[0] ?? '').map((k, i) => (
                        <kbd key={i}>{k}</kbd>
                      ))}
                    </span>
                  )}
                </div>
              )
            })}
          </div>
        ))}
      </div>
      <div className="palette-foot" aria-hidden>
        <kbd>↑</kbd>
        <kbd>↓</kbd> {t.palette.move} <kbd>↵</kbd> {t.palette.choose} <kbd>Esc</kbd> {t.palette.close}
      </div>
    </dialog>
  )
}
