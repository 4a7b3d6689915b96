import { PanelLeftClose, PanelLeftOpen } from 'lucide-react'
import { useState } from 'react'
import { KindList } from './KindPicker'
import type { Choice } from '@/canvas/choices'
import type { Kinds } from '@/canvas/graph'
import { Button } from '@/ui/kit'
import { t } from '@/text'

const key = 'studio.palette'

/** Whether the palette is open, as it was left; at first where there is room for it. */
export function usePaletteOpen(): [boolean, (open: boolean) => void] {
  const [open, setOpen] = useState(() => {
    try {
      const was = localStorage.getItem(key)
      if (was) return was === 'open'
    } catch {
      // Then it is as it is at first.
    }
    return innerWidth >= 1360
  })
  return [
    open,
    (next) => {
      setOpen(next)
      try {
        localStorage.setItem(key, next ? 'open' : 'closed')
      } catch {
        // It lasts until the page is closed, then.
      }
    },
  ]
}

/** Every kind of node beside the canvas, to drag onto it or to click. */
export function KindPalette({ kinds, open, onOpen, onPick }: { kinds: Kinds; open: boolean; onOpen: (open: boolean) => void; onPick: (choice: Choice) => void }) {
  return (
    <section className={open ? 'kind-palette' : 'kind-palette closed'} aria-label={t.editor.palette}>
      <header>
        {open && <h2 className="grow">{t.editor.palette}</h2>}
        <Button kind="ghost" icon={open ? PanelLeftClose : PanelLeftOpen} label={open ? t.editor.hidePalette : t.editor.showPalette} aria-expanded={open} onClick={() => onOpen(!open)} />
      </header>
      {open && <KindList kinds={kinds} starts label={t.editor.findKind} onPick={onPick} drag />}
      {open && <p className="hint">{t.editor.paletteHint}</p>}
    </section>
  )
}
