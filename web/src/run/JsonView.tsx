import { ChevronRight, Copy } from 'lucide-react'
import { useState } from 'react'
import './run.css'
import { Button, Segments } from '@/ui/kit'
import { toast } from '@/ui/toast'
import { t } from '@/text'

/** A value as a tree that opens, or as it is. */
export function JsonView({ value, label }: { value: unknown; label: string }) {
  const [mode, setMode] = useState<'tree' | 'raw'>('tree')
  const plain = typeof value === 'string'
  const text = plain ? value : JSON.stringify(value, null, 2)
  return (
    <div className="json">
      <div className="json-bar">
        <span className="grow label">{label}</span>
        {!plain && <Segments label={t.run.view} value={mode} onChange={setMode} options={[{ value: 'tree', label: t.run.tree }, { value: 'raw', label: t.run.raw }]} />}
        <Button size="small" kind="ghost" icon={Copy} label={t.copy} onClick={() => void navigator.clipboard.writeText(text ?? '').then(() => toast(t.copied))} />
      </div>
      {mode === 'raw' || plain ? (
        <pre className="json-raw" tabIndex={0} aria-label={label}>
          {text}
        </pre>
      ) : (
        <div className="json-tree" tabIndex={0} role="group" aria-label={label}>
          <Branch name="" value={value} depth={0} />
        </div>
      )}
    </div>
  )
}

const atOnce = 100

function Branch({ name, value, depth }: { name: string; value: unknown; depth: number }) {
  const [open, setOpen] = useState(depth < 2)
  const [shown, setShown] = useState(atOnce)
  if (value === null || typeof value !== 'object')
    return (
      <div className="leaf">
        {name && <span className="key">{name}</span>}
        <Leaf value={value} />
      </div>
    )
  const entries = Array.isArray(value) ? value.map((v, i): [string, unknown] => [String(i), v]) : Object.entries(value)
  const brief = Array.isArray(value) ? `[${entries.length}]` : `{${entries.length}}`
  return (
    <div>
      {(name || depth > 0) && (
        <button type="button" className="twig" aria-expanded={open} onClick={() => setOpen(!open)}>
          <ChevronRight size={13} aria-hidden />
          <span className="key">{name}</span>
          <span className="brief">{brief}</span>
        </button>
      )}
      {(open || (!name && depth === 0)) && (
        <div className={name ? 'inside' : ''}>
          {entries.length === 0 && <div className="leaf brief">{brief}</div>}
          {entries.slice(0, shown).map(([k, v]) => (
            <Branch key={k} name={k} value={v} depth={depth + 1} />
          ))}
          {entries.length > shown && (
            <button type="button" className="twig" onClick={() => setShown(shown + 10 * atOnce)}>
              {t.run.moreItems(entries.length - shown)}
            </button>
          )}
        </div>
      )}
    </div>
  )
}

function Leaf({ value }: { value: unknown }) {
  if (typeof value === 'string') return <span className="v-text">{value === '' ? '""' : value}</span>
  return <span className={value === null ? 'v-null' : typeof value === 'number' ? 'v-number' : 'v-bool'}>{String(value)}</span>
}
