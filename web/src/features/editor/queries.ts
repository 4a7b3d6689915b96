import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import type { Draft } from './draft'
import { api, body, tagged, type Schema, type Tagged } from '@/api/client'
import { keys } from '@/api/keys'

export type Workflow = Schema['Workflow']
export type Report = Schema['workflow.Report']
export type WorkflowProblem = Schema['workflow.Problem']

export function fetchWorkflow(id: string): Promise<Tagged<Workflow>> {
  return tagged(api.GET('/api/v1/workflows/{id}', { params: { path: { id } } }))
}

/** The workflow as it was when the page was opened: the editor's own state goes on from it. */
export function useOpenWorkflow(id: string) {
  return useQuery({ queryKey: keys.workflow(id), queryFn: () => fetchWorkflow(id), staleTime: Infinity, gcTime: 0 })
}

export async function saveWorkflow(id: string, draft: Draft, etag: string): Promise<Tagged<Workflow>> {
  return tagged(api.PUT('/api/v1/workflows/{id}', { params: { path: { id }, header: { 'If-Match': etag } }, body: draft as never }))
}

export function validateWorkflow(id: string): Promise<Report> {
  return body(api.POST('/api/v1/workflows/{id}/validate', { params: { path: { id } } })) as Promise<Report>
}

export function useSetStatus(id: string) {
  const client = useQueryClient()
  return useMutation({
    mutationFn: (status: 'draft' | 'published') => tagged(api.PATCH('/api/v1/workflows/{id}/status', { params: { path: { id } }, body: { status } })) as Promise<Tagged<Workflow>>,
    onSuccess: () => client.invalidateQueries({ queryKey: [...keys.workflows, 'list'] }),
  })
}

export function useModels() {
  return useQuery({ queryKey: keys.models, queryFn: () => body(api.GET('/api/v1/models')), staleTime: Infinity }).data?.items ?? []
}

export function useTools() {
  return useQuery({ queryKey: keys.tools, queryFn: () => body(api.GET('/api/v1/tools')), staleTime: Infinity }).data?.items ?? []
}

export function useMCPServers() {
  return useQuery({ queryKey: keys.mcpServers, queryFn: () => body(api.GET('/api/v1/mcp/servers', { params: { query: { limit: 100 } } })), staleTime: 60_000 }).data?.items ?? []
}

/** What a server offers, as it was found at its last connection; undefined while that is not known. */
export function useMCPTools(id: string | undefined) {
  return useQuery({ queryKey: keys.mcpTools(id ?? ''), enabled: !!id, retry: false, queryFn: () => body(api.GET('/api/v1/mcp/servers/{id}/tools', { params: { path: { id: id ?? '' } } })), staleTime: 60_000 })
}

export function useSavedAgents() {
  return useQuery({ queryKey: keys.agentNames, queryFn: () => body(api.GET('/api/v1/agents', { params: { query: { limit: 100 } } })), staleTime: 60_000 }).data?.items ?? []
}

export function useWorkflowChoices() {
  return useQuery({ queryKey: keys.workflowList({ names: true }), queryFn: () => body(api.GET('/api/v1/workflows', { params: { query: { limit: 100, sort: '-updated_at' } } })), staleTime: 60_000 }).data?.items ?? []
}

export function useTimetable(cron: string) {
  return useQuery({ queryKey: ['timetable', cron], enabled: cron !== '', retry: false, queryFn: () => body(api.POST('/api/v1/schedules/preview', { params: { query: { count: 5 } }, body: { cron } })), staleTime: 60_000 })
}

export function useVersions(id: string, open: boolean) {
  return useQuery({ queryKey: keys.versions(id), enabled: open, queryFn: () => body(api.GET('/api/v1/workflows/{id}/versions', { params: { path: { id }, query: { limit: 100 } } })) })
}

export function useVersion(id: string, version: number | undefined) {
  return useQuery({
    queryKey: keys.version(id, version ?? 0),
    enabled: version !== undefined,
    staleTime: Infinity,
    queryFn: () => body(api.GET('/api/v1/workflows/{id}/versions/{version}', { params: { path: { id, version: version ?? 0 } } })),
  })
}

/** The last run of a workflow, for the values that expressions are shown with. */
export function useLastRun(id: string) {
  return useQuery({
    queryKey: keys.executionList({ last: id }),
    queryFn: async () => {
      const page = await body(api.GET('/api/v1/executions', { params: { query: { workflow_id: id, limit: 1 } } }))
      return page.items?.[0]?.id ?? null
    },
    staleTime: Infinity,
  })
}
