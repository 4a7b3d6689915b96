import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { api, body, type Schema } from '@/api/client'
import { keys } from '@/api/keys'

export type Approval = Schema['Approval']

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
