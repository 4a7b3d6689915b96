import { Home, Settings, Workflow, Zap, type LucideIcon } from 'lucide-react'
import type { ComponentType } from 'react'
import { t } from '@/text'

/** A page: one folder of features/, and one line here. */
export interface PageEntry {
  path: string
  load: () => Promise<{ default: ComponentType }>
  /** Its place in the navigation; without, it is only linked to. */
  nav?: { title: string; icon: LucideIcon; keys?: string }
  /** Needs the whole window: the editor. */
  wide?: boolean
}

export const pages: PageEntry[] = [
  { path: '/', load: () => import('@/features/home/HomePage'), nav: { title: t.home.title, icon: Home, keys: 'g h' } },
  { path: '/workflows', load: () => import('@/features/workflows/WorkflowsPage'), nav: { title: t.workflows.title, icon: Workflow, keys: 'g w' } },
  { path: '/workflows/:id', load: () => import('@/features/editor/EditorPage'), wide: true },
  { path: '/executions', load: () => import('@/features/executions/ExecutionsPage'), nav: { title: t.executions.title, icon: Zap, keys: 'g e' } },
  { path: '/executions/:id', load: () => import('@/features/execution/ExecutionPage'), wide: true },
  { path: '/settings', load: () => import('@/features/settings/SettingsPage'), nav: { title: t.settings.title, icon: Settings, keys: 'g s' } },
]
