import {
  AlertTriangle,
  Ban,
  CheckCircle2,
  CircleDashed,
  Clock,
  FileEdit,
  Archive,
  Globe2,
  Loader2,
  PauseCircle,
  SkipForward,
  X,
  XCircle,
  type LucideIcon,
} from 'lucide-react'
import {
  useEffect,
  useId,
  useLayoutEffect,
  useRef,
  useState,
  type ButtonHTMLAttributes,
  type ReactNode,
  type RefObject,
} from 'react'
import { createPortal } from 'react-dom'
import { ApiError } from '@/api/client'
import { t } from '@/text'

type ButtonProps = ButtonHTMLAttributes<HTMLButtonElement> & {
  kind?: 'primary' | 'ghost' | 'danger' | 'plain'
  size?: 'small' | 'large'
  icon?: LucideIcon
  /** What it does; shown on hover and read out when there is no text. */
  label?: string
  busy?: boolean
}

export function Button({ kind = 'plain', size, icon: Icon, label, busy, children, className, disabled, ...rest }: ButtonProps) {
  const classes = ['btn', kind === 'plain' ? '' : kind, size ?? '', children ? '' : 'icon', className ?? ''].filter(Boolean).join(' ')
  const pixels = size === 'small' ? 14 : 16
  return (
    <button type="button" className={classes} aria-label={children ? undefined : label} title={label} disabled={disabled || busy} aria-busy={busy || undefined} {...rest}>
      {busy ? <Loader2 size={pixels} className="spin" aria-hidden /> : Icon && <Icon size={pixels} aria-hidden />}
      {children}
    </button>
  )
}

export function Field({ label, hint, error, children }: { label: ReactNode; hint?: ReactNode; error?: ReactNode; children: (ids: { id: string; 'aria-describedby'?: string; 'aria-invalid'?: true }) => ReactNode }) {
  const id = useId()
  const about = error || hint ? `${id}-about` : undefined
  return (
    <div className="field">
      <label className="label" htmlFor={id}>
        {label}
      </label>
      {children({ id, ...(about ? { 'aria-describedby': about } : {}), ...(error ? { 'aria-invalid': true as const } : {}) })}
      {error ? (
        <div className="error" id={about} role="alert">
          {error}
        </div>
      ) : hint ? (
        <div className="hint" id={about}>
          {hint}
        </div>
      ) : null}
    </div>
  )
}

export function Switch({ checked, onChange, label, disabled }: { checked: boolean; onChange: (on: boolean) => void; label: ReactNode; disabled?: boolean }) {
  return (
    <label className="switch">
      <input type="checkbox" role="switch" checked={checked} disabled={disabled} onChange={(e) => onChange(e.target.checked)} />
      <span>{label}</span>
    </label>
  )
}

export type Tone = 'ok' | 'run' | 'wait' | 'bad' | 'idle' | 'accent'

const statuses: Record<string, { tone: Tone; icon: LucideIcon; spins?: boolean }> = {
  pending: { tone: 'idle', icon: CircleDashed },
  running: { tone: 'run', icon: Loader2, spins: true },
  waiting: { tone: 'wait', icon: Clock },
  paused: { tone: 'wait', icon: PauseCircle },
  completed: { tone: 'ok', icon: CheckCircle2 },
  failed: { tone: 'bad', icon: XCircle },
  cancelled: { tone: 'idle', icon: Ban },
  skipped: { tone: 'idle', icon: SkipForward },
  draft: { tone: 'idle', icon: FileEdit },
  published: { tone: 'ok', icon: Globe2 },
  archived: { tone: 'idle', icon: Archive },
}

export function statusTone(status: string): Tone {
  return statuses[status]?.tone ?? 'idle'
}

export function StatusIcon({ status, size = 16 }: { status: string; size?: number }) {
  const known = statuses[status] ?? { tone: 'idle' as const, icon: CircleDashed }
  const Icon = known.icon
  return <Icon size={size} className={known.spins ? 'spin' : undefined} color={`var(--${known.tone})`} role="img" aria-label={t.status[status] ?? status} />
}

export function Status({ status }: { status: string }) {
  const known = statuses[status] ?? { tone: 'idle' as const, icon: CircleDashed }
  const Icon = known.icon
  return (
    <span className={`badge tone-${known.tone}`}>
      <Icon size={12} className={'spins' in known && known.spins ? 'spin' : undefined} aria-hidden />
      {t.status[status] ?? status}
    </span>
  )
}

export function Card({ title, actions, children, className }: { title?: ReactNode; actions?: ReactNode; children: ReactNode; className?: string }) {
  return (
    <section className={`card ${className ?? ''}`}>
      {title && (
        <header>
          <h2>{title}</h2>
          {actions}
        </header>
      )}
      {children}
    </section>
  )
}

export function Empty({ icon: Icon, title, children, action, slim }: { icon: LucideIcon; title: string; children?: ReactNode; action?: ReactNode; slim?: boolean }) {
  return (
    <div className={slim ? 'empty slim' : 'empty'}>
      <div className="emblem">
        <Icon size={20} aria-hidden />
      </div>
      <strong>{title}</strong>
      {children && <p>{children}</p>}
      {action}
    </div>
  )
}

export function Bones({ rows = 3, height = 40 }: { rows?: number; height?: number }) {
  return (
    <div role="status" aria-label={t.loading} style={{ display: 'grid', gap: 8, padding: 16 }}>
      {Array.from({ length: rows }, (_, i) => (
        <div key={i} className="bone" style={{ height, opacity: 1 - i / (rows + 1) }} />
      ))}
    </div>
  )
}

/** A failure in the API's words, with every fault it named. */
export function Fault({ error, retry }: { error: unknown; retry?: () => void }) {
  const faults = error instanceof ApiError ? error.faults : []
  return (
    <div className="fault" role="alert">
      <AlertTriangle size={16} aria-hidden />
      <div className="grow">
        <div>{error instanceof Error ? error.message : String(error)}</div>
        {faults.slice(0, 8).map((f, i) => (
          <div key={i}>
            <code>{f.location}</code> {f.message}
          </div>
        ))}
      </div>
      {retry && (
        <Button size="small" onClick={retry}>
          {t.again}
        </Button>
      )}
    </div>
  )
}

export function Dialog({ open, onClose, title, children, footer, wide }: { open: boolean; onClose: () => void; title: ReactNode; children: ReactNode; footer?: ReactNode; wide?: boolean }) {
  const ref = useRef<HTMLDialogElement>(null)
  const name = useId()
  useEffect(() => {
    const dialog = ref.current
    if (open && dialog && !dialog.open) {
      dialog.showModal()
      // The browser would choose the button that closes it.
      const first = ['.content input:not([type=hidden])', '.content textarea', '.content select', '.content button', 'footer .primary'].map((s) => dialog.querySelector<HTMLElement>(`${s}:not(:disabled)`)).find(Boolean)
      first?.focus()
    }
    if (!open && dialog?.open) dialog.close()
  }, [open])
  if (!open) return null
  return createPortal(
    <dialog
      ref={ref}
      className={wide ? 'dialog wide' : 'dialog'}
      aria-labelledby={name}
      onCancel={(e) => {
        e.preventDefault()
        onClose()
      }}
      onMouseDown={(e) => {
        if (e.target === ref.current) onClose()
      }}
    >
      <header>
        <h2 id={name}>{title}</h2>
        <Button kind="ghost" icon={X} label={t.close} onClick={onClose} />
      </header>
      <div className="content">{children}</div>
      {footer && <footer>{footer}</footer>}
    </dialog>,
    document.body,
  )
}

export interface MenuItem {
  label: string
  icon?: LucideIcon
  run: () => void
  danger?: boolean
  disabled?: boolean
}

/** A button that opens a list of actions: arrows move, Escape closes. */
export function Menu({ button, items, about, align = 'end' }: { button: (p: { ref: RefObject<HTMLButtonElement | null>; onClick: () => void; 'aria-haspopup': 'menu'; 'aria-expanded': boolean }) => ReactNode; items: (MenuItem | null)[]; about?: ReactNode; align?: 'start' | 'end' }) {
  const [open, setOpen] = useState(false)
  const anchor = useRef<HTMLButtonElement>(null)
  const list = useRef<HTMLDivElement>(null)
  const [spot, setSpot] = useState({ left: -9999, top: 0 })

  useLayoutEffect(() => {
    if (!open || !anchor.current || !list.current) return
    const a = anchor.current.getBoundingClientRect()
    const m = list.current.getBoundingClientRect()
    const below = a.bottom + 4 + m.height < innerHeight
    setSpot({
      left: Math.max(8, Math.min(align === 'end' ? a.right - m.width : a.left, innerWidth - m.width - 8)),
      top: below ? a.bottom + 4 : Math.max(8, a.top - m.height - 4),
    })
    list.current.querySelector<HTMLElement>('[role=menuitem]:not(:disabled)')?.focus()
  }, [open, align])

  useEffect(() => {
    if (!open) return undefined
    const away = (e: PointerEvent) => {
      if (!list.current?.contains(e.target as Node) && !anchor.current?.contains(e.target as Node)) setOpen(false)
    }
    const gone = () => setOpen(false)
    addEventListener('pointerdown', away, true)
    addEventListener('resize', gone)
    return () => {
      removeEventListener('pointerdown', away, true)
      removeEventListener('resize', gone)
    }
  }, [open])

  const close = () => {
    setOpen(false)
    anchor.current?.focus()
  }
  const move = (by: number) => {
    const all = [...(list.current?.querySelectorAll<HTMLElement>('[role=menuitem]:not(:disabled)') ?? [])]
    const at = all.indexOf(document.activeElement as HTMLElement)
    all[(at + by + all.length) % all.length]?.focus()
  }
  return (
    <>
      {button({ ref: anchor, onClick: () => setOpen(!open), 'aria-haspopup': 'menu', 'aria-expanded': open })}
      {open &&
        createPortal(
          <div
            className="menu"
            role="menu"
            ref={list}
            style={spot}
            onKeyDown={(e) => {
              if (e.key === 'Escape' || e.key === 'Tab') close()
              else if (e.key === 'ArrowDown') move(1)
              else if (e.key === 'ArrowUp') move(-1)
              else return
              e.preventDefault()
              e.stopPropagation()
            }}
          >
            {about && <div className="about">{about}</div>}
            {items.map((item, i) =>
              item === null ? (
                <hr key={i} />
              ) : (
                <button
                  key={i}
                  type="button"
                  role="menuitem"
                  tabIndex={-1}
                  disabled={item.disabled}
                  className={item.danger ? 'danger' : undefined}
                  onClick={() => {
                    close()
                    item.run()
                  }}
                >
                  {item.icon && <item.icon size={15} aria-hidden />}
                  {item.label}
                </button>
              ),
            )}
          </div>,
          anchor.current?.closest('dialog') ?? document.body,
        )}
    </>
  )
}

export function Segments<T extends string>({ value, options, onChange, label }: { value: T; options: { value: T; label: ReactNode }[]; onChange: (value: T) => void; label: string }) {
  return (
    <div className="segments" role="group" aria-label={label}>
      {options.map((o) => (
        <button key={o.value} type="button" aria-pressed={o.value === value} onClick={() => onChange(o.value)}>
          {o.label}
        </button>
      ))}
    </div>
  )
}

export function Tabs<T extends string>({ value, options, onChange, label }: { value: T; options: { value: T; label: ReactNode }[]; onChange: (value: T) => void; label: string }) {
  return (
    <div className="tabs" role="tablist" aria-label={label}>
      {options.map((o, i) => (
        <button
          key={o.value}
          type="button"
          role="tab"
          aria-selected={o.value === value}
          tabIndex={o.value === value ? 0 : -1}
          onClick={() => onChange(o.value)}
          onKeyDown={(e) => {
            const by = e.key === 'ArrowRight' ? 1 : e.key === 'ArrowLeft' ? -1 : 0
            const next = options[(i + by + options.length) % options.length]
            if (!by || !next) return
            onChange(next.value)
            ;(e.currentTarget.parentElement?.children[(i + by + options.length) % options.length] as HTMLElement | undefined)?.focus()
          }}
        >
          {o.label}
        </button>
      ))}
    </div>
  )
}
