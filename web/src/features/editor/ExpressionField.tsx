import { Braces } from 'lucide-react'
import { createContext, useContext, useEffect, useId, useMemo, useRef, useState } from 'react'
import { offers, partAt, preview, type Scope } from './expression'
import type { WidgetProps } from '@/ui/SchemaForm'
import { t } from '@/text'

export const ScopeContext = createContext<Scope>({ trigger: undefined, nodes: [], inLoop: false, item: undefined, vars: {} })

/** A text that may hold {{ expressions }}, completed and shown with real data. */
export function TextField(p: WidgetProps) {
  return <Expression {...p} whole={false} />
}

export function ExpressionField(p: WidgetProps) {
  return <Expression {...p} whole />
}

export function CodeField(p: WidgetProps) {
  const area = useRef<HTMLTextAreaElement>(null)
  return (
    <textarea
      {...p.ids}
      ref={area}
      className="input code"
      rows={12}
      spellCheck={false}
      value={String(p.value ?? '')}
      onChange={(e) => p.onChange(e.target.value || undefined)}
      onKeyDown={(e) => {
        // Escape leaves; Tab indents, as one expects where code is written.
        if (e.key !== 'Tab' || e.shiftKey) return
        e.preventDefault()
        e.currentTarget.setRangeText('  ', e.currentTarget.selectionStart, e.currentTarget.selectionEnd, 'end')
        p.onChange(e.currentTarget.value)
      }}
    />
  )
}

function Expression({ value, onChange, ids, multiline, whole }: WidgetProps & { whole: boolean }) {
  const scope = useContext(ScopeContext)
  const field = useRef<HTMLTextAreaElement & HTMLInputElement>(null)
  const [open, setOpen] = useState(false)
  const [caret, setCaret] = useState(0)
  const [at, setAt] = useState(0)
  const list = useId()
  const text = value === undefined || value === null ? '' : typeof value === 'string' ? value : JSON.stringify(value)
  const part = open ? partAt(text, caret, whole) : undefined
  const found = useMemo(() => (part ? offers(scope, part.part) : []), [scope, part?.part, part === undefined]) // eslint-disable-line react-hooks/exhaustive-deps
  const shown = useMemo(() => preview(text, scope, whole), [text, scope, whole])
  const chosen = Math.min(at, Math.max(0, found.length - 1))

  useEffect(() => {
    document.getElementById(`${list}-${chosen}`)?.scrollIntoView({ block: 'nearest' })
  }, [chosen, list])

  const put = (offer: string) => {
    if (!part) return
    const next = text.slice(0, part.from) + offer + text.slice(caret)
    const to = part.from + offer.length
    onChange(next)
    setCaret(to)
    requestAnimationFrame(() => {
      field.current?.focus()
      field.current?.setSelectionRange(to, to)
    })
  }
  const begin = () => {
    const start = field.current?.selectionStart ?? text.length
    if (!whole) {
      onChange(text.slice(0, start) + '{{  }}' + text.slice(start))
      requestAnimationFrame(() => {
        field.current?.focus()
        field.current?.setSelectionRange(start + 3, start + 3)
        setCaret(start + 3)
        setOpen(true)
      })
    } else {
      field.current?.focus()
      setOpen(true)
    }
  }
  const common = {
    ...ids,
    ref: field,
    className: whole ? 'input code' : 'input',
    value: text,
    spellCheck: !whole,
    role: 'combobox' as const,
    'aria-expanded': found.length > 0,
    'aria-controls': list,
    'aria-autocomplete': 'list' as const,
    ...(found.length ? { 'aria-activedescendant': `${list}-${chosen}` } : {}),
    onChange: (e: { target: { value: string; selectionStart: number | null } }) => {
      onChange(e.target.value === '' ? undefined : e.target.value)
      setCaret(e.target.selectionStart ?? 0)
      setAt(0)
      setOpen(true)
    },
    onSelect: (e: { currentTarget: { selectionStart: number | null } }) => setCaret(e.currentTarget.selectionStart ?? 0),
    onBlur: () => setOpen(false),
    onKeyDown: (e: React.KeyboardEvent) => {
      if (found.length === 0) return
      if (e.key === 'ArrowDown') setAt((chosen + 1) % found.length)
      else if (e.key === 'ArrowUp') setAt((chosen - 1 + found.length) % found.length)
      else if (e.key === 'Enter' || e.key === 'Tab') put(found[chosen]?.text ?? '')
      else if (e.key === 'Escape') {
        setOpen(false)
        e.stopPropagation()
      } else return
      e.preventDefault()
    },
  }
  return (
    <div className="expression">
      {multiline ? <textarea {...common} rows={Math.min(12, Math.max(3, text.split('\n').length + 1))} /> : <input {...common} />}
      <button type="button" className="expression-add" tabIndex={-1} aria-label={t.editor.insertValue} title={t.editor.insertValue} onMouseDown={(e) => e.preventDefault()} onClick={begin}>
        <Braces size={13} aria-hidden />
      </button>
      {found.length > 0 && (
        <div className="offers" id={list} role="listbox" aria-label={t.editor.values}>
          {found.map((o, i) => (
            <div
              key={o.text}
              id={`${list}-${i}`}
              role="option"
              aria-selected={i === chosen}
              onMouseDown={(e) => {
                e.preventDefault()
                put(o.text)
              }}
            >
              <code className="clip">{o.text}</code>
              <span className="muted clip">{o.about}</span>
            </div>
          ))}
        </div>
      )}
      {shown !== undefined && (
        <div className="expression-preview" title={t.editor.previewHint} tabIndex={0} role="group" aria-label={t.editor.previewHint}>
          {shown.slice(0, 400) || '""'}
        </div>
      )}
    </div>
  )
}
