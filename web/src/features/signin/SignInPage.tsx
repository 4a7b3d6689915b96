import { ArrowLeft, Terminal } from 'lucide-react'
import { useEffect, useRef, useState, type FormEvent } from 'react'
import { enter } from './code'
import { requestCode, verifyCode } from './queries'
import './signin.css'
import { Logo } from '@/app/Logo'
import { about } from '@/app/place'
import { Button, Fault, Field } from '@/ui/kit'
import { t } from '@/text'

const pause = 30 // seconds before a new code may be asked for

export default function SignInPage() {
  const [email, setEmail] = useState(() => sessionStorage.getItem('studio.email') ?? '')
  const [sent, setSent] = useState(false)
  return (
    <div className="signin">
      <main className="signin-form">
        <div className="signin-box">
          <Logo size={40} />
          {sent ? <CodeStep email={email} onBack={() => setSent(false)} /> : <EmailStep email={email} setEmail={setEmail} onSent={() => setSent(true)} />}
        </div>
      </main>
      <aside className="signin-panel" aria-label={t.name}>
        <div className="signin-words">
          <h2>{t.signIn.panelTitle}</h2>
          <dl>
            {t.signIn.points.map(([title, text]) => (
              <div key={title}>
                <dt>{title}</dt>
                <dd>{text}</dd>
              </div>
            ))}
          </dl>
        </div>
        <Drawing />
      </aside>
    </div>
  )
}

function EmailStep({ email, setEmail, onSent }: { email: string; setEmail: (v: string) => void; onSent: () => void }) {
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState<unknown>()
  const submit = async (e: FormEvent) => {
    e.preventDefault()
    setBusy(true)
    setError(undefined)
    try {
      await requestCode(email.trim())
      sessionStorage.setItem('studio.email', email.trim())
      onSent()
    } catch (failure) {
      setError(failure)
    } finally {
      setBusy(false)
    }
  }
  return (
    <form onSubmit={(e) => void submit(e)} noValidate>
      <h1>{t.signIn.title}</h1>
      <p className="muted">{t.signIn.lead}</p>
      <Field label={t.signIn.email}>
        {(ids) => (
          <input {...ids} className="input tall" type="email" name="email" autoComplete="email" autoFocus placeholder={t.signIn.placeholder} value={email} onChange={(e) => setEmail(e.target.value)} />
        )}
      </Field>
      {error !== undefined && <Fault error={error} />}
      <Button type="submit" kind="primary" size="large" busy={busy} disabled={!email.trim()}>
        {t.signIn.send}
      </Button>
    </form>
  )
}

function CodeStep({ email, onBack }: { email: string; onBack: () => void }) {
  const [code, setCode] = useState(['', '', '', '', '', ''])
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState<unknown>()
  const [left, setLeft] = useState(pause)
  const [note, setNote] = useState('')
  const boxes = useRef<(HTMLInputElement | null)[]>([])

  useEffect(() => {
    if (left <= 0) return undefined
    const timer = setTimeout(() => setLeft(left - 1), 1000)
    return () => clearTimeout(timer)
  }, [left])

  const submit = async (text: string) => {
    setBusy(true)
    setError(undefined)
    try {
      await verifyCode(email.trim(), text)
    } catch (failure) {
      setError(failure)
      setCode(['', '', '', '', '', ''])
      setBusy(false)
      requestAnimationFrame(() => boxes.current[0]?.focus())
    }
  }
  const put = (at: number, text: string) => {
    const result = enter(code, at, text)
    setCode(result.code)
    boxes.current[result.next]?.focus()
    const whole = result.code.join('')
    if (whole.length === 6 && !busy) void submit(whole)
  }
  const resend = async () => {
    setError(undefined)
    try {
      await requestCode(email.trim())
      setLeft(pause)
      setNote(t.signIn.resent)
    } catch (failure) {
      setError(failure)
    }
  }
  return (
    <form
      onSubmit={(e) => {
        e.preventDefault()
        if (code.join('').length === 6) void submit(code.join(''))
      }}
    >
      <h1>{t.signIn.codeTitle}</h1>
      <p className="muted">{about.mail ? t.signIn.sentTo(email) : email}</p>
      {!about.mail && (
        <div className="printed">
          <Terminal size={16} aria-hidden />
          <span>{t.signIn.printed}</span>
        </div>
      )}
      <div className="boxes" role="group" aria-label={t.signIn.code}>
        {code.map((digit, i) => (
          <input
            key={i}
            ref={(e) => {
              boxes.current[i] = e
            }}
            className="input"
            inputMode="numeric"
            autoComplete={i === 0 ? 'one-time-code' : 'off'}
            aria-label={t.signIn.digit(i + 1)}
            autoFocus={i === 0}
            disabled={busy}
            value={digit}
            onFocus={(e) => e.target.select()}
            onPaste={(e) => {
              e.preventDefault()
              put(i, e.clipboardData.getData('text'))
            }}
            onChange={(e) => put(i, e.target.value)}
            onKeyDown={(e) => {
              if (e.key === 'Backspace' && !digit && i > 0) {
                e.preventDefault()
                setCode(code.map((d, k) => (k === i - 1 ? '' : d)))
                boxes.current[i - 1]?.focus()
              } else if (e.key === 'ArrowLeft') boxes.current[i - 1]?.focus()
              else if (e.key === 'ArrowRight') boxes.current[i + 1]?.focus()
            }}
          />
        ))}
      </div>
      {error !== undefined && <Fault error={error} />}
      <div role="status" className="muted note">
        {busy ? t.signIn.checking : note}
      </div>
      <div className="row">
        <Button kind="ghost" icon={ArrowLeft} onClick={onBack}>
          {t.signIn.other}
        </Button>
        <span className="grow" />
        <Button kind="ghost" disabled={left > 0} onClick={() => void resend()}>
          {left > 0 ? t.signIn.resendIn(left) : t.signIn.resend}
        </Button>
      </div>
    </form>
  )
}

/** A workflow at work, as an ornament. */
function Drawing() {
  const nodes = [
    { x: 30, y: 96, label: 'Question', state: 'ok' },
    { x: 210, y: 30, label: 'Search', state: 'ok' },
    { x: 210, y: 162, label: 'Read', state: 'ok' },
    { x: 390, y: 96, label: 'Write', state: 'run' },
  ]
  const lines = ['M166 120C190 120 188 54 210 54', 'M166 120C190 120 188 186 210 186', 'M346 54C370 54 368 120 390 120', 'M346 186C370 186 368 120 390 120']
  return (
    <svg viewBox="0 0 560 240" className="drawing" aria-hidden>
      {lines.map((d, i) => (
        <path key={d} d={d} className={i > 1 ? 'flow' : ''} />
      ))}
      {nodes.map((n) => (
        <g key={n.label} transform={`translate(${n.x} ${n.y})`} className={n.state}>
          <rect width="136" height="48" rx="10" />
          <circle cx="22" cy="24" r="9" />
          <text x="42" y="29">
            {n.label}
          </text>
        </g>
      ))}
    </svg>
  )
}
