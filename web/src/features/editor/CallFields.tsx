import { useMCPServers, useMCPTools, useTools } from './queries'
import { rulesOf } from './tools'
import { TextField } from './ExpressionField'
import { widgets } from './widgets'
import { JsonInput, SchemaForm, type JsonSchema, type WidgetProps } from '@/ui/SchemaForm'
import { t } from '@/text'

interface Choice {
  id: string
  title: string
  hint?: string
}

/** The MCP servers of the workspace, by their names. */
export function MCPServerField(props: WidgetProps) {
  const servers = useMCPServers()
  const now = servers.find((s) => s.name === props.value)
  return <Pick {...props} choices={servers.map((s) => ({ id: s.name, title: s.name, hint: s.description }))} none={servers.length ? undefined : t.editor.noServers} hint={now?.last_error ?? undefined} />
}

/** The tools of the server that stands beside. */
export function MCPToolField(props: WidgetProps) {
  const tools = useServerTools(props.beside?.['server'])
  return <Pick {...props} choices={(tools.data?.items ?? []).map((x) => ({ id: x.name, title: x.title || x.name, hint: x.description }))} none={tools.isError ? tools.error.message : undefined} />
}

/** One of the studio's own tools. */
export function ToolField(props: WidgetProps) {
  const tools = useTools()
  return <Pick {...props} choices={tools.map((x) => ({ id: x.id, title: x.configured ? x.title : `${x.title} · ${t.editor.needs((x.needs ?? []).join(', '))}`, hint: `${x.description} ${rulesOf(x)}` }))} />
}

/** The arguments of the tool that stands beside, as a form when its schema is known. */
export function ArgumentsField(props: WidgetProps) {
  const { beside, value, onChange, errors, path = '', name } = props
  const own = useTools()
  const served = useServerTools(beside?.['server'])
  const schema = (beside && 'server' in beside ? served.data?.items?.find((x) => x.name === beside['tool']) : own.find((x) => x.id === beside?.['tool']))?.input_schema as JsonSchema | undefined
  if (!schema?.properties || (value !== undefined && (typeof value !== 'object' || value === null))) return value === undefined || typeof value === 'object' ? <JsonInput {...props} /> : <TextField {...props} />
  return (
    <div className="item" role="group" aria-label={String(props.schema.title ?? name)} id={props.ids.id}>
      <SchemaForm schema={schema} value={value} onChange={(v) => onChange(Object.keys(v as object).length ? v : undefined)} errors={errors ?? new Map()} widgets={widgets} path={path} brief />
    </div>
  )
}

function useServerTools(name: unknown) {
  return useMCPTools(useMCPServers().find((s) => s.name === name)?.id)
}

/** One of several; what is not on the list stays, it may be away just now. With nothing to choose from, it is typed. */
function Pick({ value, onChange, ids, choices, none, hint, ...rest }: WidgetProps & { choices: Choice[]; none?: string | undefined; hint?: string | undefined }) {
  const now = choices.find((c) => c.id === value)
  const about = hint ?? now?.hint
  return (
    <>
      {choices.length === 0 || (typeof value === 'string' && value.includes('{{')) ? (
        <TextField {...rest} ids={ids} value={value} onChange={onChange} />
      ) : (
        <select {...ids} className="input" value={String(value ?? '')} onChange={(e) => onChange(e.target.value || undefined)}>
          <option value="">{t.form.choose}</option>
          {typeof value === 'string' && value && !now && <option value={value}>{value}</option>}
          {choices.map((c) => (
            <option key={c.id} value={c.id}>
              {c.title}
            </option>
          ))}
        </select>
      )}
      {(none ?? about) && <div className="hint">{none ?? about}</div>}
    </>
  )
}
