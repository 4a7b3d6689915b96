import { Plus, Trash2 } from 'lucide-react'
import { useState, type ComponentType } from 'react'
import { ArgumentsField, MCPServerField, MCPToolField, ToolField } from './CallFields'
import { CodeField, ExpressionField, TextField } from './ExpressionField'
import { ModelField } from './ModelField'
import { AgentField, AgentsField, ToolsField } from './ToolsField'
import { useTimetable, useWorkflowChoices } from './queries'
import { Button } from '@/ui/kit'
import { JsonInput, type WidgetProps } from '@/ui/SchemaForm'
import { useLater } from '@/ui/useLater'
import { moment } from '@/ui/format'
import { t } from '@/text'

/** How the fields of nodes are edited, by the widget their schema names. */
export const widgets: Record<string, ComponentType<WidgetProps>> = {
  text: TextField,
  textarea: TextField,
  expression: ExpressionField,
  code: CodeField,
  model: ModelField,
  tools: ToolsField,
  agent: AgentField,
  agents: AgentsField,
  tool: ToolField,
  'mcp-server': MCPServerField,
  'mcp-tool': MCPToolField,
  arguments: ArgumentsField,
  'key-value': KeyValueField,
  schema: JsonInput,
  workflow: WorkflowField,
  'name:cron': CronField,
}

function WorkflowField({ value, onChange, ids }: WidgetProps) {
  const list = useWorkflowChoices()
  return (
    <select {...ids} className="input" value={String(value ?? '')} onChange={(e) => onChange(e.target.value || undefined)}>
      <option value="">{t.form.choose}</option>
      {typeof value === 'string' && value && !list.some((w) => w.id === value) && <option value={value}>{value}</option>}
      {list.map((w) => (
        <option key={w.id} value={w.id}>
          {w.name}
        </option>
      ))}
    </select>
  )
}

/** Names with values; a value that reads as JSON keeps its type. */
function KeyValueField({ value, onChange, ids, name }: WidgetProps) {
  // An entry that has no name yet lives here only.
  const [fresh, setFresh] = useState(0)
  if (value !== undefined && (typeof value !== 'object' || Array.isArray(value))) return <TextField {...{ value, onChange, ids, name, schema: {} }} />
  const entries = Object.entries((value ?? {}) as Record<string, unknown>)
  const write = (next: [string, unknown][]) => onChange(next.length ? Object.fromEntries(next) : undefined)
  return (
    <div className="pairs">
      {entries.map(([k, v], i) => (
        <div className="pair-row" key={i}>
          <input className="input" aria-label={`${t.form.key} ${i + 1}`} value={k} onChange={(e) => write(entries.map((x, j) => (j === i ? [e.target.value, v] : x)))} />
          {typeof v === 'string' || v === undefined || v === null ? (
            <TextField schema={{}} name={k} ids={{ id: `${ids.id}-${i}`, 'aria-label': `${t.form.value} ${i + 1}` }} value={v} onChange={(x) => write(entries.map((y, j) => (j === i ? [k, x ?? ''] : y)))} />
          ) : (
            <JsonInput schema={{}} name={k} ids={{ id: `${ids.id}-${i}`, 'aria-label': `${t.form.value} ${i + 1}` }} value={v} onChange={(x) => write(entries.map((y, j) => (j === i ? [k, x ?? ''] : y)))} />
          )}
          <Button kind="ghost" size="small" icon={Trash2} label={t.form.removeItem(i + 1)} onClick={() => write(entries.filter((_, j) => j !== i))} />
        </div>
      ))}
      <Button
        size="small"
        icon={Plus}
        id={ids.id}
        onClick={() => {
          setFresh(fresh + 1)
          let key = 'name'
          for (let i = 2; entries.some(([k]) => k === key); i++) key = `name${i}`
          write([...entries, [key, '']])
        }}
      >
        {t.form.add}
      </Button>
    </div>
  )
}

/** A cron line with what it means, and when it goes off next. */
function CronField({ value, onChange, ids }: WidgetProps) {
  const cron = String(value ?? '')
  const later = useLater(cron.trim(), 500)
  const table = useTimetable(later)
  return (
    <>
      <input {...ids} className="input code" placeholder="0 9 * * 1-5" value={cron} onChange={(e) => onChange(e.target.value || undefined)} />
      {table.data && later && (
        <div className="cron">
          <strong>{table.data.words}</strong>
          <ul>
            {(table.data.next ?? []).map((x) => (
              <li key={x.at}>{moment(x.at)}</li>
            ))}
          </ul>
        </div>
      )}
      {table.isError && later && <div className="error">{table.error.message}</div>}
    </>
  )
}

