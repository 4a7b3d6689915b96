import { Plus, Trash2 } from 'lucide-react'
import { useState, type ComponentType } from 'react'
import { Button, Field, Switch } from './kit'
import { startValue, titleOf, typeOf, type JsonSchema } from './schema'
import './form.css'
import { t } from '@/text'

export { startValue, type JsonSchema }

export interface WidgetProps {
  schema: JsonSchema
  value: unknown
  onChange: (value: unknown) => void
  ids: { id: string; 'aria-label'?: string; 'aria-describedby'?: string; 'aria-invalid'?: true }
  multiline?: boolean
  name: string
  /** The object the field is in: what stands beside it. */
  beside?: Record<string, unknown>
  errors?: ReadonlyMap<string, string> | undefined
  path?: string
}

export interface FormProps {
  schema: JsonSchema
  value: unknown
  onChange: (value: unknown) => void
  /** What is wrong, by path: "limits.max_steps". */
  errors?: ReadonlyMap<string, string>
  /** By the widget a schema names; "text" is what every text is edited with. */
  widgets?: Record<string, ComponentType<WidgetProps>>
  /** Optional fields without a value hide behind one button. */
  brief?: boolean
  path?: string
}

/** A form for what a JSON Schema describes. */
export function SchemaForm({ schema, value, onChange, errors, widgets = {}, brief = false, path = '' }: FormProps) {
  const [all, setAll] = useState(false)
  const object = (value ?? {}) as Record<string, unknown>
  const entries = Object.entries(schema.properties ?? {})
  const needed = ([name, p]: [string, JsonSchema]) => !brief || all || schema.required?.includes(name) || object[name] !== undefined || !!errors?.get(join(path, name)) || important.has(p.widget ?? '') || entries.length <= 4
  const shown = entries.filter(needed)
  const hidden = entries.length - shown.length
  const set = (name: string, v: unknown) => {
    const next = { ...object }
    if (v === undefined) delete next[name]
    else next[name] = v
    onChange(next)
  }
  return (
    <div className="form">
      {shown.map(([name, p]) => (
        <Property key={name} name={name} schema={p} value={object[name]} onChange={(v) => set(name, v)} required={schema.required?.includes(name) ?? false} errors={errors} widgets={widgets} path={join(path, name)} beside={object} />
      ))}
      {entries.length === 0 && <p className="muted">{t.form.nothing}</p>}
      {(hidden > 0 || (all && brief)) && (
        <Button kind="ghost" size="small" className="form-more" aria-expanded={all} onClick={() => setAll(!all)}>
          {all ? t.form.fewer : t.form.more(hidden)}
        </Button>
      )}
    </div>
  )
}

const important = new Set(['model', 'textarea', 'code', 'expression', 'tools', 'arguments'])

function join(path: string, name: string): string {
  return path ? `${path}.${name}` : name
}

interface PropertyProps {
  name: string
  schema: JsonSchema
  value: unknown
  onChange: (value: unknown) => void
  required: boolean
  errors: ReadonlyMap<string, string> | undefined
  widgets: Record<string, ComponentType<WidgetProps>>
  path: string
  beside: Record<string, unknown>
}

function Property(p: PropertyProps) {
  const { name, schema, value, onChange, required, errors, widgets, path } = p
  const type = typeOf(schema)
  const title = titleOf(name, schema)
  const Widget = widgets[schema.widget ?? ''] ?? widgets[`name:${name}`]
  if (type === 'object' && schema.properties && !Widget)
    return (
      <fieldset className="group-field">
        <legend>{title}</legend>
        {schema.description && <p className="hint">{schema.description}</p>}
        <SchemaForm schema={schema} value={value} onChange={(v) => onChange(Object.keys(v as object).length ? v : undefined)} errors={errors ?? new Map()} widgets={widgets} path={path} brief />
      </fieldset>
    )
  const items = typeof schema.items === 'object' ? schema.items : undefined
  if (type === 'array' && items?.properties && !Widget) return <ListOfObjects {...p} items={items} title={title} />
  if (type === 'boolean' && !Widget)
    return (
      <div className="field">
        <Switch checked={Boolean(value ?? schema.default ?? false)} onChange={(on) => onChange(on)} label={title} />
        {schema.description && <div className="hint">{schema.description}</div>}
      </div>
    )
  const error = errors?.get(path)
  return (
    <Field
      label={
        <>
          {title}
          {required && (
            <span className="required" aria-hidden>
              {' '}
              *
            </span>
          )}
        </>
      }
      hint={schema.description}
      error={error}
    >
      {(ids) => {
        const common: WidgetProps = { schema, value, onChange, ids, name }
        if (Widget) return <Widget {...common} multiline={schema.widget === 'textarea'} beside={p.beside} errors={errors} path={path} />
        if (type === 'enum') return <Choice {...common} required={required} />
        if (type === 'integer' || type === 'number') return <NumberInput {...common} />
        if (type === 'array') return <ListOfTexts {...common} text={widgets['text'] ?? PlainText} />
        if (type === 'object') return <JsonInput {...common} />
        if (type === 'any') return <AnyInput {...common} text={widgets['text'] ?? PlainText} />
        const Text = widgets['text'] ?? PlainText
        return <Text {...common} multiline={(schema.maxLength ?? 0) > 500} />
      }}
    </Field>
  )
}

export function PlainText({ value, onChange, ids, multiline, schema }: WidgetProps) {
  const text = value === undefined || value === null ? '' : String(value)
  return multiline ? (
    <textarea {...ids} className="input" value={text} onChange={(e) => onChange(e.target.value || undefined)} />
  ) : (
    <input {...ids} className="input" type={schema.format === 'email' ? 'email' : 'text'} value={text} onChange={(e) => onChange(e.target.value === '' ? undefined : e.target.value)} />
  )
}

function Choice({ schema, value, onChange, ids, required }: WidgetProps & { required: boolean }) {
  const options = schema.enum ?? []
  return (
    <select {...ids} className="input" value={JSON.stringify(value ?? null)} onChange={(e) => onChange(e.target.value === 'null' ? undefined : (JSON.parse(e.target.value) as unknown))}>
      {(!required || value === undefined) && <option value="null">{schema.default !== undefined ? t.form.standard(String(schema.default)) : t.form.choose}</option>}
      {options.map((o) => (
        <option key={String(o)} value={JSON.stringify(o)}>
          {String(o)}
        </option>
      ))}
    </select>
  )
}

function NumberInput({ schema, value, onChange, ids }: WidgetProps) {
  const [text, setText] = useState(value === undefined ? '' : String(value))
  const shown = value !== undefined && Number(text) !== value && typeof value === 'number' ? String(value) : value === undefined && text !== '' && !Number.isNaN(Number(text)) ? '' : text
  return (
    <input
      {...ids}
      className="input"
      inputMode="decimal"
      placeholder={schema.default !== undefined ? String(schema.default) : undefined}
      value={shown}
      onChange={(e) => {
        setText(e.target.value)
        const n = Number(e.target.value)
        if (e.target.value === '') onChange(undefined)
        else if (!Number.isNaN(n)) onChange(n)
        else onChange(e.target.value) // an expression, or a mistake that the server names
      }}
    />
  )
}

/** A value as JSON; kept as it was while it cannot be read. */
export function JsonInput({ value, onChange, ids }: WidgetProps) {
  const [draft, setDraft] = useState<string>()
  const [bad, setBad] = useState(false)
  const text = draft ?? (value === undefined ? '' : JSON.stringify(value, null, 2))
  return (
    <>
      <textarea
        {...ids}
        className="input code"
        spellCheck={false}
        rows={Math.min(14, Math.max(3, text.split('\n').length))}
        value={text}
        {...(bad ? { 'aria-invalid': true } : {})}
        onChange={(e) => {
          setDraft(e.target.value)
          if (!e.target.value.trim()) {
            setBad(false)
            onChange(undefined)
            return
          }
          try {
            onChange(JSON.parse(e.target.value))
            setBad(false)
          } catch {
            setBad(true)
          }
        }}
        onBlur={() => !bad && setDraft(undefined)}
      />
      {bad && <div className="error">{t.form.badJson}</div>}
    </>
  )
}

/** Any value: what reads as JSON is JSON, all else is text. */
function AnyInput({ text: Text, ...p }: WidgetProps & { text: ComponentType<WidgetProps> }) {
  if (p.value !== undefined && typeof p.value !== 'string') return <JsonInput {...p} />
  return (
    <Text
      {...p}
      multiline
      onChange={(v) => {
        if (typeof v === 'string' && /^\s*[[{]/.test(v) && !/^\s*\{\{/.test(v)) {
          try {
            p.onChange(JSON.parse(v))
            return
          } catch {
            // Not yet: it stays text until it can be read.
          }
        }
        p.onChange(v)
      }}
    />
  )
}

function ListOfTexts({ text: Text, ...p }: WidgetProps & { text: ComponentType<WidgetProps> }) {
  const items = typeof p.schema.items === 'object' ? p.schema.items : {}
  if (p.value !== undefined && !Array.isArray(p.value)) return <Text {...p} />
  const list = (p.value as unknown[] | undefined) ?? []
  const set = (next: unknown[]) => p.onChange(next.length ? next : undefined)
  if (items.enum)
    return (
      <div className="checks" role="group" aria-label={titleOf(p.name, p.schema)}>
        {items.enum.map((o) => (
          <label key={String(o)} className="check">
            <input type="checkbox" checked={list.includes(o)} onChange={(e) => set(e.target.checked ? [...list, o] : list.filter((x) => x !== o))} />
            {String(o)}
          </label>
        ))}
      </div>
    )
  return (
    <div className="list">
      {list.map((v, i) => (
        <div className="row" key={i}>
          <div className="grow">
            <Text {...p} schema={items} ids={{ id: `${p.ids.id}-${i}`, 'aria-label': `${titleOf(p.name, p.schema)} ${i + 1}` }} value={v} onChange={(x) => set(list.map((y, k) => (k === i ? (typeOf(items) === 'integer' ? Number(x ?? 0) : (x ?? '')) : y)))} />
          </div>
          <Button kind="ghost" size="small" icon={Trash2} label={t.form.removeItem(i + 1)} onClick={() => set(list.filter((_, k) => k !== i))} />
        </div>
      ))}
      <Button size="small" icon={Plus} id={list.length ? undefined : p.ids.id} onClick={() => set([...list, ''])}>
        {t.form.add}
      </Button>
    </div>
  )
}

function ListOfObjects({ name, value, onChange, errors, widgets, path, items, title, schema }: PropertyProps & { items: JsonSchema; title: string }) {
  const list = Array.isArray(value) ? (value as unknown[]) : []
  const set = (next: unknown[]) => onChange(next.length ? next : undefined)
  return (
    <fieldset className="group-field">
      <legend>{title}</legend>
      {schema.description && <p className="hint">{schema.description}</p>}
      {errors?.get(path) && <div className="error">{errors.get(path)}</div>}
      {list.map((v, i) => (
        <div className="item" key={i}>
          <div className="item-head">
            <span className="muted grow">{i + 1}</span>
            <Button kind="ghost" size="small" icon={Trash2} label={t.form.removeItem(i + 1)} onClick={() => set(list.filter((_, k) => k !== i))} />
          </div>
          <SchemaForm schema={items} value={v} onChange={(x) => set(list.map((y, k) => (k === i ? x : y)))} errors={errors ?? new Map()} widgets={widgets} path={`${path}[${i}]`} brief />
        </div>
      ))}
      <Button size="small" icon={Plus} aria-label={t.form.addTo(titleOf(name, schema))} onClick={() => set([...list, startValue(items)])}>
        {t.form.add}
      </Button>
    </fieldset>
  )
}
