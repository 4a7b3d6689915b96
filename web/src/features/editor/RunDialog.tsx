import { Play } from 'lucide-react'
import { useState, type FormEvent } from 'react'
import type { Draft } from './draft'
import type { Kinds, Node } from '@/canvas/graph'
import { Button, Dialog, Fault, Field } from '@/ui/kit'
import { check } from '@/ui/schema'
import { SchemaForm, startValue, type JsonSchema } from '@/ui/SchemaForm'
import { t } from '@/text'

export interface Start {
  trigger_data: Record<string, unknown>
  start_node: string
}

/** The nodes a run can start at. */
export function startsOf(draft: Draft, kinds: Kinds): Node[] {
  return draft.nodes.filter((n) => kinds.get(n.kind)?.type === 'trigger' && n.enabled !== false)
}

/** Asks for the data a run starts with; the last data is filled in. */
export function RunDialog({ title, workflowId, starts, kinds, busy, error, onRun, onClose }: { title: string; workflowId: string; starts: Node[]; kinds: Kinds; busy: boolean; error: unknown; onRun: (start: Start) => void; onClose: () => void }) {
  const memory = `studio.input.${workflowId}`
  const [at, setAt] = useState(starts[0]?.id ?? '')
  const node = starts.find((n) => n.id === at) ?? starts[0]
  const schema = node?.config?.['input_schema'] as JsonSchema | undefined
  const formed = !!schema?.properties && Object.keys(schema.properties).length > 0
  const [data, setData] = useState<Record<string, unknown>>(() => {
    const kept = sessionStorage.getItem(memory)
    return kept ? (JSON.parse(kept) as Record<string, unknown>) : ((schema ? startValue(schema) : {}) as Record<string, unknown>)
  })
  const [text, setText] = useState(() => JSON.stringify(Object.keys(data).length ? data : sample(node?.kind), null, 2))
  const [errors, setErrors] = useState<ReadonlyMap<string, string>>(new Map())
  const submit = (e: FormEvent) => {
    e.preventDefault()
    let value = data
    if (!formed) {
      try {
        value = JSON.parse(text.trim() || '{}') as Record<string, unknown>
      } catch {
        setErrors(new Map([['', t.form.badJson]]))
        return
      }
    } else if (schema) {
      const faults = check(schema, data)
      setErrors(new Map([...faults].map(([k, v]) => [k, t.form[v as 'required']])))
      if (faults.size) return
    }
    sessionStorage.setItem(memory, JSON.stringify(value))
    onRun({ trigger_data: value, start_node: node?.id ?? '' })
  }
  return (
    <Dialog
      open
      onClose={onClose}
      title={title}
      footer={
        <>
          <Button onClick={onClose}>{t.cancel}</Button>
          <Button kind="primary" icon={Play} type="submit" form="run-form" busy={busy}>
            {t.editor.startRun}
          </Button>
        </>
      }
    >
      <form id="run-form" className="form" onSubmit={submit}>
        {starts.length > 1 && (
          <Field label={t.editor.start}>
            {(ids) => (
              <select {...ids} className="input" value={at} onChange={(e) => setAt(e.target.value)}>
                {starts.map((n) => (
                  <option key={n.id} value={n.id}>
                    {n.title || kinds.get(n.kind)?.title || n.id}
                  </option>
                ))}
              </select>
            )}
          </Field>
        )}
        {formed && schema ? (
          <SchemaForm schema={schema} value={data} onChange={(v) => setData(v as Record<string, unknown>)} errors={errors} />
        ) : (
          <Field label={t.editor.input} error={errors.get('')} hint={t.editor.inputRaw}>
            {(ids) => <textarea {...ids} className="input code" rows={8} spellCheck={false} value={text} onChange={(e) => setText(e.target.value)} />}
          </Field>
        )}
        {error !== undefined && error !== null && <Fault error={error} />}
      </form>
    </Dialog>
  )
}

/** What a trigger's data looks like, to begin with. */
function sample(kind: string | undefined): unknown {
  if (kind === 'webhook-trigger') return { method: 'POST', path: '', query: {}, headers: {}, body: { text: 'I was charged twice' } }
  if (kind === 'chat-trigger') return { message: 'Hello' }
  return {}
}
