import { FlaskConical, PinOff, X } from 'lucide-react'
import { useMemo, useState } from 'react'
import { scopeOf } from './expression'
import { stillTrue } from './judged'
import { ScopeContext } from './ExpressionField'
import type { Editor } from './useEditor'
import type { WorkflowProblem } from './queries'
import { widgets } from './widgets'
import { Markdown } from '@/ui/Markdown'
import { changeNode, dropLostHandles, upstream, type Kinds, type Node } from '@/canvas/graph'
import { iconOf } from '@/canvas/icons'
import { Inspector } from '@/run/Inspector'
import type { NodeRun } from '@/run/state'
import { Button, Field, Switch, Tabs } from '@/ui/kit'
import { SchemaForm, type JsonSchema } from '@/ui/SchemaForm'
import { t } from '@/text'

type Tab = 'settings' | 'run' | 'docs'

interface Props {
  editor: Editor
  node: Node
  kinds: Kinds
  problems: WorkflowProblem[]
  /** What one should know, though it runs all the same. */
  warnings: WorkflowProblem[]
  runId: string | undefined
  run: NodeRun | undefined
  outputs: ReadonlyMap<string, unknown>
  trigger: unknown
  onClose: () => void
  onRetry?: (() => void) | undefined
  /** Runs this node alone; left out when that cannot be. */
  onTest?: (() => void) | undefined
}

/** Everything about one node: what it does, what it did, what it is for. */
export function NodePanel({ editor, node, kinds, problems, warnings, runId, run, outputs, trigger, onClose, onRetry, onTest }: Props) {
  const [tab, setTab] = useState<Tab>('settings')
  const kind = kinds.get(node.kind)
  const Icon = iconOf(kind?.icon)
  const { draft } = editor
  const change = (part: Partial<Node>, key = '') => {
    const next = changeNode(draft, node.id, part)
    editor.changeGraph(draft, dropLostHandles(next, node.id, kinds), key ? `${node.id}.${key}` : '')
  }
  const scope = useMemo(
    () => scopeOf(upstream(draft, node.id), outputs, trigger, !!node.parent_id || node.kind === 'filter', (draft.settings.vars ?? {}) as Record<string, unknown>),
    [draft, node.id, node.parent_id, node.kind, outputs, trigger],
  )
  // The messages are about the config as it was when they came.
  const judged = useMemo(() => ({ config: node.config }), [editor.report, node.id]) // eslint-disable-line react-hooks/exhaustive-deps
  const errors = useMemo(() => {
    const out = new Map<string, string>()
    for (const p of problems) if (p.path?.includes('config.')) out.set((p.path ?? '').replace(/^.*?config\.?/, ''), p.message)
    return stillTrue(out, judged.config, node.config)
  }, [problems, judged, node.config])
  const unplaced = problems.filter((p) => !p.path?.includes('config.'))
  return (
    <aside className="panel" aria-label={`${node.title || kind?.title || node.kind}`}>
      <header className="panel-head">
        <span className={`node-icon cat-${kind?.category ?? ''}`} aria-hidden>
          <Icon size={16} />
        </span>
        <input
          className="panel-title"
          aria-label={t.editor.title}
          value={node.title ?? ''}
          placeholder={kind?.title}
          maxLength={255}
          onChange={(e) => change({ title: e.target.value || undefined } as Partial<Node>, 'title')}
          onBlur={editor.settle}
        />
        {kind?.type !== 'trigger' && <Button kind="ghost" icon={FlaskConical} label={node.parent_id ? t.editor.testLoop : t.editor.testNode} disabled={!onTest || node.enabled === false} onClick={() => { setTab('run'); onTest?.() }} />}
        <Button kind="ghost" icon={X} label={t.close} onClick={onClose} />
      </header>
      <Tabs
        label={t.editor.settings}
        value={tab}
        onChange={setTab}
        options={[
          { value: 'settings', label: t.editor.settings },
          { value: 'run', label: t.editor.lastRun },
          { value: 'docs', label: t.editor.docs },
        ]}
      />
      <div className="panel-body">
        {tab === 'settings' && (
          <div className="panel-form" onBlur={editor.settle}>
            {node.pinned_output !== undefined && (
              <div className="pinned">
                <span className="grow">{t.editor.pinnedOutput}</span>
                <Button size="small" icon={PinOff} onClick={() => change({ pinned_output: undefined })}>
                  {t.editor.unpin}
                </Button>
              </div>
            )}
            {unplaced.map((p) => (
              <div key={p.code + p.message} className="fault" role="alert">
                {p.message}
              </div>
            ))}
            {warnings.map((p) => (
              <div key={p.code + p.message} className="hintbox">
                {p.message}
              </div>
            ))}
            <ScopeContext.Provider value={scope}>
              {kind ? (
                <SchemaForm
                  key={node.id}
                  schema={kind.config_schema as JsonSchema}
                  value={node.config ?? {}}
                  onChange={(v) => change({ config: v as Record<string, unknown> }, 'config')}
                  errors={errors}
                  widgets={widgets}
                  brief
                />
              ) : null}
            </ScopeContext.Provider>
            <details className="behaviour">
              <summary>{t.editor.behaviour}</summary>
              <div className="form">
                <Switch checked={node.enabled !== false} onChange={(on) => change({ enabled: on ? undefined : false } as Partial<Node>)} label={t.editor.enabled} />
                <Field label={t.editor.onError}>
                  {(ids) => (
                    <select {...ids} className="input" value={node.on_error ?? 'stop'} onChange={(e) => change({ on_error: e.target.value === 'stop' ? undefined : e.target.value } as Partial<Node>)}>
                      {Object.entries(t.editor.onErrors).map(([v, label]) => (
                        <option key={v} value={v}>
                          {label}
                        </option>
                      ))}
                    </select>
                  )}
                </Field>
                <div className="pair">
                  <Field label={t.editor.retries}>
                    {(ids) => (
                      <input
                        {...ids}
                        className="input"
                        type="number"
                        min={1}
                        max={20}
                        placeholder={String(kind?.max_attempts ?? 1)}
                        value={node.retry?.max_attempts ?? ''}
                        onChange={(e) => change({ retry: e.target.value ? { ...node.retry, max_attempts: Number(e.target.value) } : undefined } as Partial<Node>, 'retry')}
                      />
                    )}
                  </Field>
                  <Field label={t.editor.timeout}>
                    {(ids) => (
                      <input
                        {...ids}
                        className="input"
                        type="number"
                        min={1}
                        placeholder={String(kind?.timeout_seconds ?? '')}
                        value={node.timeout_seconds ?? ''}
                        onChange={(e) => change({ timeout_seconds: e.target.value ? Number(e.target.value) : undefined } as Partial<Node>, 'timeout')}
                      />
                    )}
                  </Field>
                </div>
                <Field label={t.editor.notes}>{(ids) => <textarea {...ids} className="input" value={node.notes ?? ''} onChange={(e) => change({ notes: e.target.value || undefined } as Partial<Node>, 'notes')} />}</Field>
                <p className="muted">
                  {t.editor.id}: <code>{node.id}</code>
                </p>
              </div>
            </details>
          </div>
        )}
        {tab === 'run' &&
          (runId ? (
            <Inspector executionId={runId} run={run} pinned={node.pinned_output !== undefined} onPin={(output) => change({ pinned_output: output })} onRetry={onRetry} />
          ) : (
            <p className="muted pad">{t.run.notRun}</p>
          ))}
        {tab === 'docs' && (
          <div className="pad docs">
            <p>{kind?.description}</p>
            <Markdown text={kind?.docs ?? ''} />
          </div>
        )}
      </div>
    </aside>
  )
}
