import { BookOpen, ChevronsUpDown, Keyboard, LogOut, Menu as MenuIcon, Monitor, Moon, Search, Sun } from 'lucide-react'
import { useEffect, useState, type ReactNode } from 'react'
import { Link, useLocation, useRoute } from 'wouter'
import { keyCaps, listenToKeys, useCommands } from './commands'
import { KeysHelp } from './KeysHelp'
import { Logo } from './Logo'
import { show, useOverlay } from './overlays'
import { Palette } from './Palette'
import { about, place } from './place'
import { setTheme, useTheme, type Theme } from './theme'
import { api, session } from '@/api/client'
import { useLiveState, useUser } from '@/api/hooks'
import { pages, type PageEntry } from '@/pages'
import { Button, Menu } from '@/ui/kit'
import { t } from '@/text'

const themes: { value: Theme; label: string; icon: typeof Sun }[] = [
  { value: 'system', label: t.frame.system, icon: Monitor },
  { value: 'light', label: t.frame.light, icon: Sun },
  { value: 'dark', label: t.frame.dark, icon: Moon },
]

async function signOut(): Promise<void> {
  await api.POST('/api/v1/auth/logout', { body: {} }).catch(() => undefined)
  session.end()
}

/** What stands around every page. */
export function Frame({ children, wide }: { children: ReactNode; wide?: boolean }) {
  const [location, navigate] = useLocation()
  const overlay = useOverlay()
  const theme = useTheme()
  const [drawer, setDrawer] = useState(false)
  useEffect(() => listenToKeys(), [])
  useEffect(() => setDrawer(false), [location])

  useCommands(
    [
      ...pages.flatMap((p) => (p.nav ? [{ id: `go ${p.path}`, title: p.nav.title, group: t.palette.pages, icon: p.nav.icon, run: () => navigate(p.path), ...(p.nav.keys ? { keys: p.nav.keys } : {}) }] : [])),
      { id: 'palette', title: t.keys.palette, group: t.keys.everywhere, keys: 'mod+k', hidden: true, inFields: true, run: () => show('palette') },
      { id: 'keys', title: t.keys.help, group: t.keys.everywhere, keys: '?', icon: Keyboard, run: () => show('keys') },
      {
        id: 'search',
        title: t.keys.search,
        group: t.keys.everywhere,
        keys: '/',
        hidden: true,
        run: () => document.querySelector<HTMLElement>('main [type=search]')?.focus(),
      },
      ...themes.map((x) => ({ id: `theme ${x.value}`, title: `${t.frame.theme}: ${x.label}`, group: t.palette.actions, icon: x.icon, run: () => setTheme(x.value) })),
      { id: 'docs', title: t.frame.docs, group: t.palette.actions, icon: BookOpen, run: () => window.open(place('docs'), '_blank') },
      { id: 'sign-out', title: t.frame.signOut, group: t.palette.actions, icon: LogOut, run: () => void signOut() },
    ],
    [navigate],
  )

  return (
    <div className={`frame ${wide ? 'wide' : ''} ${drawer ? 'drawer' : ''}`} data-theme-choice={theme}>
      <a className="skip" href="#page" onClick={(e) => { e.preventDefault(); document.getElementById('page')?.focus() }}>
        {t.frame.skip}
      </a>
      <aside className="side">
        <div className="brand">
          <Link href="/" className="row" aria-label={t.name}>
            <Logo />
            <span className="words">{t.name}</span>
          </Link>
        </div>
        <button type="button" className="finder" onClick={() => show('palette')} aria-label={t.frame.palette}>
          <Search size={15} aria-hidden />
          <span className="words grow">{t.search}</span>
          <span className="caps words">
            {keyCaps('mod+k').map((k) => (
              <kbd key={k}>{k}</kbd>
            ))}
          </span>
        </button>
        <nav aria-label={t.frame.navigation}>
          {pages.map((p) => p.nav && <NavLink key={p.path} page={p} nav={p.nav} />)}
        </nav>
        <div className="side-foot">
          <Account />
        </div>
      </aside>
      <div className="stage">
        <div className="topbar">
          <Button kind="ghost" icon={MenuIcon} label={t.frame.menu} onClick={() => setDrawer(!drawer)} />
          <Logo size={22} />
          <strong>{t.name}</strong>
        </div>
        <Connection />
        <main id="page" tabIndex={-1}>
          {children}
        </main>
      </div>
      {drawer && <div className="scrim" onClick={() => setDrawer(false)} />}
      {overlay === 'palette' && <Palette onClose={() => show(null)} />}
      {overlay === 'keys' && <KeysHelp onClose={() => show(null)} />}
    </div>
  )
}

function NavLink({ page, nav }: { page: PageEntry; nav: NonNullable<PageEntry['nav']> }) {
  const [exact] = useRoute(page.path)
  const [inside] = useRoute(`${page.path === '/' ? '/-' : page.path}/*?`)
  const here = exact || inside
  return (
    <Link href={page.path} className="nav" aria-current={here ? 'page' : undefined} title={nav.title}>
      <nav.icon size={17} aria-hidden />
      <span className="words">{nav.title}</span>
    </Link>
  )
}

function Account() {
  const user = useUser()
  if (!user) return null
  const name = user.full_name || user.email
  return (
    <Menu
      align="start"
      about={
        <>
          {user.email}
          <br />
          Agent Studio {about.version}
        </>
      }
      button={(p) => (
        <button type="button" className="account" aria-label={t.frame.account} {...p}>
          <span className="avatar" aria-hidden>
            {name.charAt(0).toUpperCase()}
          </span>
          <span className="words grow clip">{name}</span>
          <ChevronsUpDown size={14} aria-hidden className="words" />
        </button>
      )}
      items={[
        ...themes.map((x) => ({ label: `${t.frame.theme}: ${x.label}`, icon: x.icon, run: () => setTheme(x.value) })),
        null,
        { label: t.frame.keys, icon: Keyboard, run: () => show('keys') },
        { label: t.frame.docs, icon: BookOpen, run: () => window.open(place('docs'), '_blank') },
        null,
        { label: t.frame.signOut, icon: LogOut, run: () => void signOut() },
      ]}
    />
  )
}

/** Says that live updates are interrupted, once that has lasted a moment. */
function Connection() {
  const state = useLiveState()
  const [late, setLate] = useState(false)
  const away = state === 'waiting' || state === 'connecting'
  useEffect(() => {
    if (!away) {
      setLate(false)
      return undefined
    }
    const timer = setTimeout(() => setLate(true), 1500)
    return () => clearTimeout(timer)
  }, [away])
  return (
    <div role="status" aria-live="polite" className="connection">
      {late && <span className="badge tone-wait">{t.frame.connecting}</span>}
    </div>
  )
}
