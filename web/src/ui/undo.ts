import { toast } from './toast'
import { t } from '@/text'

/** What was asked for and is done in a moment, unless it is taken back. */
const waiting = new Map<string, () => void>()

addEventListener('pagehide', () => {
  for (const run of [...waiting.values()]) run()
})

/**
 * Does something that cannot be taken back a while later, with a toast that can
 * stop it. Leaving the page does it at once.
 */
export function laterWithUndo(id: string, text: string, run: () => void, undone: () => void): void {
  const now = () => {
    if (waiting.delete(id)) run()
  }
  waiting.set(id, now)
  const timer = setTimeout(now, 6000)
  toast(text, {
    ms: 6000,
    action: {
      label: t.undo,
      run: () => {
        clearTimeout(timer)
        if (waiting.delete(id)) undone()
      },
    },
  })
}
