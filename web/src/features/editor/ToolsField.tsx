import { Plus, X } from 'lucide-react'
import { useId, useState } from 'react'
import { useSavedAgents, useTools } from './queries'
import { rulesOf } from './tools'
import { Button } from '@/ui/kit'
import type { WidgetProps } from '@/ui/SchemaForm'
import { t } from '@/text'

interface Choice {
  id: string
  title: string
  hint: string
  missing?: string
}

const listOf = (value: unknown): string[] => (Array.isArray(value) ? value.filter((x): x is string => typeof x === 'string') : [])

/** The tools an agent may use: those of the studio to choose from, those of MCP servers by name. */
export function ToolsField(props: WidgetProps) {
  const tools = useTools()
  const choices = tools.map((x) => ({ id: x.id, title: x.title, hint: `${rulesOf(x)} · ${x.description}`, ...(x.configured ? {} : { missing: t.editor.needs((x.needs ?? []).join(', ')) }) }))
  return <Choose {...props} choices={choices} add={t.editor.addTool} placeholder="mcp/server/tool" />
}

/** Saved agents of the workspace. */
export function AgentsField(props: WidgetProps) {
  const choices = useSavedAgents().map((a) => ({ id: a.id, title: a.name, hint: a.description ?? '' }))
  return <Choose {...props} choices={choices} />
}

/** One saved agent, or none. */
export function AgentField({ value, onChange, ids }: WidgetProps) {
  const agents = useSavedAgents()
  return (
    <select {...ids} className="input" value={String(value ?? '')} onChange={(e) => onChange(e.target.value || undefined)}>
      <option value="">{t.editor.noAgent}</option>
      {typeof value === 'string' && value && !agents.some((a) => a.id === value) && <option value={value}>{value}</option>}
      {agents.map((a) => (
        <option key={a.id} value={a.id}>
          {a.name}
        </option>
      ))}
    </select>
  )
}

function Choose({ schema, name, value, onChange, ids, choices, add, placeholder }: WidgetProps & { choices: Choice[]; add?: string; placeholder?: string }) {
  const chosen = listOf(value)
  const [typed, setTyped] = useState('')
  const hints = useId()
  const set = (next: string[]) => onChange(next.length ? next : undefined)
  // What is not on the list stays: it may be of a server that is away just now.
  const others = chosen.filter((id) => !choices.some((c) => c.id === id))
  const take = () => {
    const id = typed.trim()
    if (id && !chosen.includes(id)) set([...chosen, id])
    setTyped('')
  }
  return (
    <div className="choose" id={ids.id} role="group" aria-label={ids['aria-label'] ?? String(schema.title ?? name)}>
      {choices.length === 0 && !add && <p className="muted">{t.editor.noAgents}</p>}
      <ul>
        {choices.map((c, i) => (
          <li key={c.id}>
            <label>
              <input type="checkbox" checked={chosen.includes(c.id)} aria-describedby={`${hints}-${i}`} onChange={(e) => set(e.target.checked ? [...chosen, c.id] : chosen.filter((x) => x !== c.id))} />
              <span className="grow">
                <span className="choose-title">{c.title}</span>
                <span className="muted sub clip" id={`${hints}-${i}`} title={c.hint}>
                  {c.missing ?? c.hint}
                </span>
              </span>
            </label>
          </li>
        ))}
        {others.map((id) => (
          <li key={id} className="row">
            <code className="grow clip">{id}</code>
            <Button kind="ghost" size="small" icon={X} label={t.editor.removeTool(id)} onClick={() => set(chosen.filter((x) => x !== id))} />
          </li>
        ))}
      </ul>
      {add && (
        <div className="row">
          <input
            className="input grow"
            aria-label={add}
            placeholder={placeholder}
            value={typed}
            onChange={(e) => setTyped(e.target.value)}
            onKeyDown={(e) => {
              if (e.key !== 'Enter') return
              e.preventDefault()
              take()
            }}
          />
          <Button size="small" icon={Plus} disabled={!typed.trim()} onClick={take}>
            {t.form.add}
          </Button>
        </div>
      )}
    </div>
  )
}
