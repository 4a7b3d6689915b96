import type { Kind, Kinds } from './graph'

/** What a palette offers: a kind, or a kind with settings to begin with. */
export interface Choice extends Kind {
  key: string
  start?: Record<string, unknown>
}

/** Every kind, each followed by its presets. */
export function choicesOf(kinds: Kinds): Choice[] {
  return [...kinds.values()].flatMap((k): Choice[] => [
    { ...k, key: k.kind },
    ...(k.presets ?? []).map((p) => ({ ...k, key: `${k.kind}:${p.name}`, title: p.title, description: p.description, icon: p.icon, start: p.config })),
  ])
}

export function choiceOf(kinds: Kinds, key: string): Choice | undefined {
  return choicesOf(kinds).find((c) => c.key === key)
}
