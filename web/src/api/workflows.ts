import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { api, body, type Schema } from './client'
import { useRoom } from './hooks'
import { keys } from './keys'
import type { LiveEvent } from './live'

export type Workflow = Schema['Workflow']
export type WorkflowSummary = Schema['WorkflowSummary']

/** The caller's personal workspace, where new things go. */
export function useWorkspace() {
  return useQuery({
    queryKey: keys.workspaces,
    queryFn: () => body(api.GET('/api/v1/workspaces', { params: { query: { limit: 100 } } })),
    staleTime: 300_000,
    select: (page) => page.items?.find((w) => w.is_personal) ?? page.items?.[0],
  })
}

/** The names of those in the workspace, by user id. */
export function useMemberNames() {
  const workspace = useWorkspace().data?.id
  return useQuery({
    queryKey: keys.members(workspace ?? ''),
    enabled: !!workspace,
    staleTime: 300_000,
    queryFn: () => body(api.GET('/api/v1/workspaces/{id}/members', { params: { path: { id: workspace ?? '' }, query: { limit: 100 } } })),
    select: (page) => new Map((page.items ?? []).map((m) => [m.user_id, m.full_name || m.email])),
  })
}

/** Makes a workflow of a file's text, YAML or JSON. */
export function useImportWorkflow() {
  const client = useQueryClient()
  return useMutation({
    mutationFn: (source: string) =>
      body(api.POST('/api/v1/workflows/import', { body: source, bodySerializer: (text: string) => text, headers: { 'Content-Type': 'application/yaml' } })),
    onSuccess: () => client.invalidateQueries({ queryKey: keys.workflows }),
  })
}

export function useCreateWorkflow() {
  const client = useQueryClient()
  return useMutation({
    mutationFn: (name: string) =>
      body(api.POST('/api/v1/workflows', { body: { name, nodes: [{ id: 'start', kind: 'manual-trigger', title: 'Start', position: { x: 0, y: 0 } }], connections: [] } as never })),
    onSuccess: () => client.invalidateQueries({ queryKey: keys.workflows }),
  })
}

/**
 * Keeps lists true while things happen in the workspace. Many events at once
 * are one look; first sees each, to change what is shown at once.
 */
export function useWorkspaceUpdates(first?: (e: LiveEvent) => void): void {
  const workspace = useWorkspace().data?.id
  const client = useQueryClient()
  const look = () => {
    clearTimeout(pending)
    pending = setTimeout(() => {
      void client.invalidateQueries({ queryKey: [...keys.executions, 'list'] })
      void client.invalidateQueries({ queryKey: [...keys.workflows, 'list'] })
      void client.invalidateQueries({ queryKey: keys.approvals })
    }, 400)
  }
  useRoom(workspace ? `workspace:${workspace}` : undefined, {
    event: (e) => {
      first?.(e)
      look()
    },
    missed: look,
  })
}
let pending: ReturnType<typeof setTimeout> | undefined
