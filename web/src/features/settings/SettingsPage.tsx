import { Copy, KeyRound, Laptop, Monitor, Moon, Plus, Sun, Trash2 } from 'lucide-react'
import { useEffect, useState, type FormEvent } from 'react'
import { deviceOf } from './device'
import { useApiKeys, useEndSession, useMakeKey, useRevokeKey, useSaveName, useSessions, type NewKey } from './queries'
import './settings.css'
import { useUser } from '@/api/hooks'
import { about } from '@/app/place'
import { setTheme, useTheme } from '@/app/theme'
import { ago } from '@/ui/format'
import { Bones, Button, Card, Dialog, Empty, Fault, Field, Segments } from '@/ui/kit'
import { toast, toastError } from '@/ui/toast'
import { t } from '@/text'

export default function SettingsPage() {
  return (
    <div className="page settings">
      <div className="head">
        <div className="grow">
          <h1>{t.settings.title}</h1>
          <p className="lead">{t.settings.lead}</p>
        </div>
      </div>
      <Profile />
      <Appearance />
      <Sessions />
      <Keys />
      <Card title={t.settings.about}>
        <dl className="facts">
          <div>
            <dt>{t.settings.version}</dt>
            <dd className="mono">{about.version}</dd>
          </div>
        </dl>
      </Card>
    </div>
  )
}

function Profile() {
  const user = useUser()
  const [name, setName] = useState(user?.full_name ?? '')
  const save = useSaveName()
  useEffect(() => setName(user?.full_name ?? ''), [user?.full_name])
  const submit = (e: FormEvent) => {
    e.preventDefault()
    save.mutate(name.trim(), { onSuccess: () => toast(t.settings.saved) })
  }
  return (
    <Card title={t.settings.profile}>
      <form className="body" onSubmit={submit}>
        <div className="pair">
          <Field label={t.settings.name} hint={t.settings.nameHint} error={save.error?.message}>
            {(ids) => <input {...ids} className="input" maxLength={255} autoComplete="name" value={name} onChange={(e) => setName(e.target.value)} />}
          </Field>
          <Field label={t.settings.email}>{(ids) => <input {...ids} className="input" readOnly value={user?.email ?? ''} />}</Field>
        </div>
        <div>
          <Button type="submit" kind="primary" busy={save.isPending} disabled={name.trim() === (user?.full_name ?? '')}>
            {t.save}
          </Button>
        </div>
      </form>
    </Card>
  )
}

function Appearance() {
  const theme = useTheme()
  return (
    <Card title={t.settings.appearance}>
      <div className="body">
        <div className="row">
          <p className="muted grow">{t.settings.appearanceHint}</p>
          <Segments
            label={t.frame.theme}
            value={theme}
            onChange={setTheme}
            options={[
              { value: 'system', label: <><Monitor size={14} aria-hidden /> {t.frame.system}</> },
              { value: 'light', label: <><Sun size={14} aria-hidden /> {t.frame.light}</> },
              { value: 'dark', label: <><Moon size={14} aria-hidden /> {t.frame.dark}</> },
            ]}
          />
        </div>
      </div>
    </Card>
  )
}

function Sessions() {
  const list = useSessions()
  const end = useEndSession()
  return (
    <Card title={t.settings.sessions}>
      {list.isPending ? (
        <Bones rows={2} height={40} />
      ) : list.isError ? (
        <Fault error={list.error} retry={() => void list.refetch()} />
      ) : (
        <ul className="rows">
          {(list.data.items ?? []).map((s) => {
            const device = deviceOf(s.user_agent)
            return (
              <li key={s.id}>
                <Laptop size={18} aria-hidden />
                <div className="grow">
                  <div className="row">
                    <strong>{device}</strong>
                    {s.current && <span className="badge tone-ok">{t.settings.thisDevice}</span>}
                  </div>
                  <div className="muted sub">
                    {s.ip} · {t.settings.lastUsed(ago(s.last_used_at))}
                  </div>
                </div>
                {!s.current && (
                  <Button size="small" aria-label={t.settings.endOf(device)} busy={end.isPending && end.variables === s.id} onClick={() => end.mutate(s.id, { onSuccess: () => toast(t.settings.ended), onError: toastError })}>
                    {t.settings.end}
                  </Button>
                )}
              </li>
            )
          })}
        </ul>
      )}
    </Card>
  )
}

function Keys() {
  const list = useApiKeys()
  const revoke = useRevokeKey()
  const [making, setMaking] = useState(false)
  const items = list.data?.items ?? []
  return (
    <Card
      title={t.settings.keys}
      actions={
        items.length > 0 && (
          <Button size="small" icon={Plus} onClick={() => setMaking(true)}>
            {t.settings.newKey}
          </Button>
        )
      }
    >
      {list.isPending ? (
        <Bones rows={2} height={40} />
      ) : list.isError ? (
        <Fault error={list.error} retry={() => void list.refetch()} />
      ) : items.length === 0 ? (
        <Empty slim icon={KeyRound} title={t.settings.noKeys} action={<Button icon={Plus} onClick={() => setMaking(true)}>{t.settings.newKey}</Button>}>
          {t.settings.noKeysHint}
        </Empty>
      ) : (
        <ul className="rows">
          {items.map((k) => (
            <li key={k.id}>
              <KeyRound size={18} aria-hidden />
              <div className="grow">
                <div className="row">
                  <strong className="clip">{k.name}</strong>
                  <code className="muted">{k.prefix}…</code>
                  {(k.scopes ?? []).map((s) => (
                    <span key={s} className="tag">
                      {s}
                    </span>
                  ))}
                </div>
                <div className="muted sub">{k.last_used_at ? t.settings.lastUsed(ago(k.last_used_at)) : t.settings.neverUsed}</div>
              </div>
              <Button size="small" kind="danger" icon={Trash2} aria-label={t.settings.revokeOf(k.name)} onClick={() => revoke.mutate(k.id, { onSuccess: () => toast(t.settings.revoked(k.name)), onError: toastError })}>
                {t.settings.revoke}
              </Button>
            </li>
          ))}
        </ul>
      )}
      {making && <MakeKey onClose={() => setMaking(false)} />}
    </Card>
  )
}

function MakeKey({ onClose }: { onClose: () => void }) {
  const make = useMakeKey()
  const [name, setName] = useState('')
  const [scopes, setScopes] = useState(['read', 'execute'])
  const [days, setDays] = useState(90)
  const [made, setMade] = useState<NewKey>()
  if (made)
    return (
      <Dialog open onClose={onClose} title={t.settings.madeTitle} footer={<Button kind="primary" onClick={onClose}>{t.settings.done}</Button>}>
        <p className="muted">{t.settings.madeHint}</p>
        <div className="row">
          <input className="input code" readOnly aria-label={t.settings.madeTitle} value={made.key} onFocus={(e) => e.target.select()} />
          <Button icon={Copy} label={t.copy} onClick={() => void navigator.clipboard.writeText(made.key).then(() => toast(t.copied))} />
        </div>
      </Dialog>
    )
  const submit = (e: FormEvent) => {
    e.preventDefault()
    make.mutate({ name: name.trim(), scopes, days }, { onSuccess: setMade })
  }
  return (
    <Dialog
      open
      onClose={onClose}
      title={t.settings.newKey}
      footer={
        <>
          <Button onClick={onClose}>{t.cancel}</Button>
          <Button kind="primary" type="submit" form="make-key" busy={make.isPending} disabled={!name.trim() || scopes.length === 0}>
            {t.settings.make}
          </Button>
        </>
      }
    >
      <form id="make-key" onSubmit={submit} className="stack">
        <Field label={t.settings.keyName} hint={t.settings.keyNameHint}>
          {(ids) => <input {...ids} className="input" autoFocus maxLength={255} value={name} onChange={(e) => setName(e.target.value)} />}
        </Field>
        <fieldset>
          <legend>{t.settings.scopes}</legend>
          {Object.entries(t.settings.scope).map(([scope, label]) => (
            <label key={scope} className="check">
              <input type="checkbox" checked={scopes.includes(scope)} onChange={(e) => setScopes(e.target.checked ? [...scopes, scope] : scopes.filter((x) => x !== scope))} />
              {label}
            </label>
          ))}
        </fieldset>
        <Field label={t.settings.expires}>
          {(ids) => (
            <select {...ids} className="input" value={days} onChange={(e) => setDays(Number(e.target.value))}>
              {[30, 90, 365].map((n) => (
                <option key={n} value={n}>
                  {t.settings.days(n)}
                </option>
              ))}
              <option value={0}>{t.settings.forever}</option>
            </select>
          )}
        </Field>
        {make.isError && <Fault error={make.error} />}
      </form>
    </Dialog>
  )
}
