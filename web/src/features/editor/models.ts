import type { Schema } from '@/api/client'
import { t } from '@/text'

export type Model = Schema['Model']

/** The models a field names, the first one first; none: what is default here. */
export function modelsOf(value: unknown): string[] {
  if (Array.isArray(value)) return value.map(String)
  return value === undefined || value === null || value === '' ? [] : [String(value)]
}

/** What is kept of them: one stays a name, several are a list. */
export function keptModels(list: string[]): string | string[] | undefined {
  const named = list.filter((id, i) => id !== '' && list.indexOf(id) === i)
  return named.length > 1 ? named : named[0]
}

export function moved(list: string[], from: number, by: number): string[] {
  const to = from + by
  if (to < 0 || to >= list.length) return list
  const out = [...list]
  out.splice(to, 0, ...out.splice(from, 1))
  return out
}

const dollars = (n: number) => `$${n.toLocaleString('en-US', { maximumFractionDigits: 3 })}`

/** What a model costs and can do, in one line. */
export function factsOf(m: Model): string {
  // A model that is on no price list has none at all.
  const { input = null, output = null } = (m.price as Model['price'] | null) ?? {}
  const price = m.demo ? t.editor.modelDemo : input === null && output === null ? t.editor.priceUnknown : t.editor.price(input === null ? t.editor.unknown : dollars(input), output === null ? t.editor.unknown : dollars(output))
  return [price, m.tools ? t.editor.usesTools : t.editor.usesNoTools, m.vision ? t.editor.readsImages : t.editor.readsNoImages].join(' · ')
}
