import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { api, body, type Schema } from '@/api/client'
import { useRoom } from '@/api/hooks'
import { keys } from '@/api/keys'

export type Approval = Schema['Approval']

/** The caller's personal workspace, where new things go. */
export function useWorkspace() {
  return useQuery({
    queryKey: keys.workspaces,
    queryFn: () => body(api.GET('/api/v1/workspaces', { params: { query: { limit: 100 } } })),
    staleTime: 300_000,
    select: (page) => page.items?.find((w) => w.is_personal) ?? page.items?.[0],
  })
}

export function useRecentWorkflows() {
  return useQuery({
    queryKey: keys.workflowList({ home: true }),
    queryFn: () => body(api.GET('/api/v1/workflows', { params: { query: { limit: 6, sort: '-updated_at' } } })),
  })
}

export function useLatestRuns() {
  return useQuery({
    queryKey: keys.executionList({ home: true }),
    queryFn: () => body(api.GET('/api/v1/executions', { params: { query: { limit: 8 } } })),
  })
}

export function useFailedRuns() {
  return useQuery({
    queryKey: keys.executionList({ home: 'failed' }),
    queryFn: () => body(api.GET('/api/v1/executions', { params: { query: { limit: 4, status: 'failed' } } })),
  })
}

export function useApprovals() {
  return useQuery({
    queryKey: keys.approvals,
    queryFn: () => body(api.GET('/api/v1/approvals', { params: { query: { limit: 20 } } })),
    select: (page) => (page.items ?? []).filter((a) => a.status === 'open'),
  })
}

export function useTemplates() {
  return useQuery({ queryKey: ['templates'], queryFn: async () => (await import('./templates')).templates, staleTime: Infinity })
}

export function useImport() {
  const client = useQueryClient()
  return useMutation({
    mutationFn: (source: string) =>
      body(api.POST('/api/v1/workflows/import', { body: source, bodySerializer: (text: string) => text, headers: { 'Content-Type': 'application/yaml' } })),
    onSuccess: () => client.invalidateQueries({ queryKey: keys.workflows }),
  })
}

export function useCreate() {
  const client = useQueryClient()
  return useMutation({
    mutationFn: (name: string) =>
      body(api.POST('/api/v1/workflows', { body: { name, nodes: [{ id: 'start', kind: 'manual-trigger', title: 'Start', position: { x: 0, y: 0 } }], connections: [] } as never })),
    onSuccess: () => client.invalidateQueries({ queryKey: keys.workflows }),
  })
}

export function useDecide() {
  const client = useQueryClient()
  return useMutation({
    mutationFn: (x: { approval: Approval; decision: 'approve' | 'reject' }) =>
      body(
        api.POST('/api/v1/executions/{id}/approvals/{node_id}', {
          params: { path: { id: x.approval.execution_id, node_id: x.approval.node_id } },
          body: { decision: x.decision, ask_id: x.approval.id, iteration: x.approval.iteration },
        }),
      ),
    onSettled: () => client.invalidateQueries({ queryKey: keys.approvals }),
  })
}

/** Keeps the page true while things happen; many events at once are one look. */
export function useHomeUpdates(workspace: string | undefined): void {
  const client = useQueryClient()
  const look = () => {
    clearTimeout(pending)
    pending = setTimeout(() => {
      void client.invalidateQueries({ queryKey: keys.executions })
      void client.invalidateQueries({ queryKey: keys.approvals })
      void client.invalidateQueries({ queryKey: keys.workflows })
    }, 400)
  }
  useRoom(workspace ? `workspace:${workspace}` : undefined, { event: look, missed: look })
}
let pending: ReturnType<typeof setTimeout> | undefined
