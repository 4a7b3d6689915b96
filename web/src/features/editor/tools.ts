import type { components } from '@/api/schema.gen'
import { t } from '@/text'

type Rules = Pick<components['schemas']['Tool'], 'risk' | 'limit' | 'restrictions'>

/** What holds for a tool, on one line: its risk, how often it may be used, and what it cannot do. */
export function rulesOf(tool: Rules): string {
  const limit = tool.limit ? t.editor.limit(tool.limit.calls, stretch(tool.limit.seconds)) : undefined
  return [t.editor.risks[tool.risk] ?? tool.risk, limit, ...(tool.restrictions ?? [])].filter(Boolean).join(' · ')
}

function stretch(seconds: number): string {
  for (const [unit, size] of [['day', 86_400], ['hour', 3_600], ['minute', 60]] as const) {
    if (seconds >= size && seconds % size === 0) return t.editor.stretches[unit](seconds / size)
  }
  return t.editor.stretches.second(seconds)
}
