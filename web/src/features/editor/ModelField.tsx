import { ArrowDown, ArrowUp, Trash2 } from 'lucide-react'
import { factsOf, keptModels, modelsOf, moved, type Model } from './models'
import { useModels } from './queries'
import { Button } from '@/ui/kit'
import type { WidgetProps } from '@/ui/SchemaForm'
import { t } from '@/text'

/** The model that is asked, and those that are asked when it cannot answer, in their order. */
export function ModelField({ value, onChange, ids }: WidgetProps) {
  const models = useModels()
  const list = modelsOf(value)
  const rows = list.length ? list : ['']
  const set = (next: string[]) => onChange(keptModels(next))
  const title = (id: string) => models.find((m) => m.id === id)?.title ?? id
  return (
    <div className="models">
      {rows.map((id, i) => {
        const model = models.find((m) => (id === '' || id === 'default' ? m.default : m.id === id))
        return (
          <div className="model-row" key={id}>
            <div className="row">
              <select
                className="input grow"
                {...(i === 0 ? ids : { id: `${ids.id}-${i}`, 'aria-label': t.editor.fallback(i) })}
                value={id}
                onChange={(e) => set(e.target.value ? rows.map((x, j) => (j === i ? e.target.value : x)) : rows.filter((_, j) => j !== i))}
              >
                {rows.length === 1 && id !== 'default' && <option value="">{t.editor.defaultModel}</option>}
                {(id === 'default' || rows.length > 1) && <option value="default">{t.editor.defaultModel}</option>}
                {id !== '' && id !== 'default' && !models.some((m) => m.id === id) && <option value={id}>{id}</option>}
                <Choices models={models} taken={rows.filter((x) => x !== id)} />
              </select>
              {rows.length > 1 && (
                <>
                  <Button kind="ghost" size="small" icon={ArrowUp} label={t.editor.sooner(title(id))} disabled={i === 0} onClick={() => set(moved(rows, i, -1))} />
                  <Button kind="ghost" size="small" icon={ArrowDown} label={t.editor.later(title(id))} disabled={i === rows.length - 1} onClick={() => set(moved(rows, i, 1))} />
                  <Button kind="ghost" size="small" icon={Trash2} label={t.editor.removeModel(title(id))} onClick={() => set(rows.filter((_, j) => j !== i))} />
                </>
              )}
            </div>
            {model && <div className="hint">{factsOf(model)}</div>}
          </div>
        )
      })}
      <select className="input" aria-label={t.editor.addFallback} value="" onChange={(e) => set([...rows.map((x) => x || 'default'), e.target.value])}>
        <option value="">{t.editor.addFallback}…</option>
        <Choices models={models} taken={rows} />
      </select>
    </div>
  )
}

function Choices({ models, taken }: { models: Model[]; taken: string[] }) {
  const free = models.filter((m) => !taken.includes(m.id))
  return (
    <>
      {[true, false].map((ready) => (
        <optgroup key={String(ready)} label={ready ? t.editor.modelsReady : t.editor.modelsNotSet}>
          {free
            .filter((m) => m.configured === ready)
            .map((m) => (
              <option key={m.id} value={m.id}>
                {m.title}
              </option>
            ))}
        </optgroup>
      ))}
    </>
  )
}
