import { AlertTriangle, CheckCircle2, Info, X } from 'lucide-react'
import { useSyncExternalStore } from 'react'
import { Button, type Tone } from './kit'
import { t } from '@/text'

/** What people are told that they did not just see happen. */
interface Toast {
  id: number
  tone: Tone
  text: string
  action?: { label: string; run: () => void }
}

let all: Toast[] = []
let last = 0
const listeners = new Set<() => void>()

function change(next: Toast[]): void {
  all = next
  for (const listener of listeners) listener()
}

export function dismiss(id: number): void {
  change(all.filter((x) => x.id !== id))
}

/** Shows a line for a while; with an action, longer. Returns its id. */
export function toast(text: string, options: { tone?: Tone; action?: Toast['action']; ms?: number } = {}): number {
  const id = ++last
  change([...all, { id, tone: options.tone ?? 'ok', text, ...(options.action ? { action: options.action } : {}) }].slice(-4))
  setTimeout(() => dismiss(id), options.ms ?? (options.action ? 8000 : options.tone === 'bad' ? 9000 : 4000))
  return id
}

export function toastError(error: unknown): void {
  toast(error instanceof Error ? error.message : String(error), { tone: 'bad' })
}

const icons = { ok: CheckCircle2, bad: AlertTriangle } as const

export function Toasts() {
  const shown = useSyncExternalStore(
    (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    () => all,
  )
  return (
    <div className="toasts" role="status" aria-live="polite">
      {shown.map((x) => {
        const Icon = icons[x.tone as 'ok' | 'bad'] ?? Info
        return (
          <div key={x.id} className={`toast tone-${x.tone}`}>
            <Icon size={16} aria-hidden />
            <div className="grow">{x.text}</div>
            {x.action && (
              <Button
                size="small"
                onClick={() => {
                  dismiss(x.id)
                  x.action?.run()
                }}
              >
                {x.action.label}
              </Button>
            )}
            <Button kind="ghost" size="small" icon={X} label={t.close} onClick={() => dismiss(x.id)} />
          </div>
        )
      })}
    </div>
  )
}
