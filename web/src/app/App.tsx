import { QueryClientProvider } from '@tanstack/react-query'
import { Compass, RefreshCw } from 'lucide-react'
import { Component, lazy, Suspense, useEffect, type ComponentType, type ReactNode } from 'react'
import { Link, Route, Router, Switch, useLocation } from 'wouter'
import { Frame } from './Frame'
import { Logo } from './Logo'
import { root } from './place'
import { queries } from './queries'
import { session } from '@/api/client'
import { useUser } from '@/api/hooks'
import { pages } from '@/pages'
import { Bones, Button, Empty } from '@/ui/kit'
import { Toasts } from '@/ui/toast'
import { t } from '@/text'

const SignIn = lazy(() => import('@/features/signin/SignInPage'))
const loaded = pages.map((p) => ({ ...p, Page: lazy(p.load) as ComponentType }))

export function App() {
  return (
    <QueryClientProvider client={queries}>
      <Router base={root.replace(/\/$/, '')}>
        <Gate />
        <Toasts />
      </Router>
    </QueryClientProvider>
  )
}

function Gate() {
  const user = useUser()
  useEffect(() => {
    if (session.user === undefined) void session.refresh().catch(() => session.end())
  }, [])
  useEffect(() => {
    if (user === null) queries.clear()
  }, [user])
  if (user === undefined)
    return (
      <div className="splash" role="status" aria-label={t.loading}>
        <Logo size={40} />
      </div>
    )
  if (user === null)
    return (
      <Suspense fallback={null}>
        <SignIn />
      </Suspense>
    )
  return <Pages />
}

/** Fetches the other pages once the first one is there and nothing else is to be done. */
function useOthers() {
  useEffect(() => {
    // A page that cannot be fetched now is asked for again when it is opened.
    const fetchAll = () => void pages.reduce((before, p) => before.then(() => p.load()).then(() => undefined, () => undefined), Promise.resolve())
    if (!('requestIdleCallback' in window)) {
      const timer = setTimeout(fetchAll, 1000)
      return () => clearTimeout(timer)
    }
    const waiting = requestIdleCallback(fetchAll, { timeout: 3000 })
    return () => cancelIdleCallback(waiting)
  }, [])
}

function Pages() {
  const [location] = useLocation()
  useOthers()
  return (
    <Switch>
      {loaded.map(({ path, wide, Page }) => (
        <Route key={path} path={path}>
          <Frame wide={wide ?? false}>
            <Boundary key={location}>
              <Suspense fallback={<Bones rows={4} height={56} />}>
                <Page />
              </Suspense>
            </Boundary>
          </Frame>
        </Route>
      ))}
      <Route>
        <Frame>
          <Missing />
        </Frame>
      </Route>
    </Switch>
  )
}

export function Missing() {
  return (
    <Empty icon={Compass} title={t.frame.missing} action={<Link href="/" className="btn primary">{t.frame.home}</Link>}>
      {t.frame.missingHint}
    </Empty>
  )
}

class Boundary extends Component<{ children: ReactNode }, { error?: Error }> {
  override state: { error?: Error } = {}

  static getDerivedStateFromError(error: Error) {
    return { error }
  }

  override render() {
    const { error } = this.state
    if (!error) return this.props.children
    // A page of an older build is gone from a server that was updated.
    const outdated = /dynamically imported module|Importing a module/.test(error.message)
    return (
      <Empty
        icon={RefreshCw}
        title={outdated ? t.frame.updated : t.frame.lost}
        action={
          <Button kind="primary" onClick={() => location.reload()}>
            {t.frame.reload}
          </Button>
        }
      >
        {outdated ? null : `${t.frame.lostHint} (${error.message})`}
      </Empty>
    )
  }
}
