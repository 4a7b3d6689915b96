import { useInfiniteQuery, useQuery, useQueryClient, type InfiniteData } from '@tanstack/react-query'
import { api, body, type Schema } from '@/api/client'
import { keys } from '@/api/keys'
import type { LiveEvent } from '@/api/live'

export type Execution = Schema['Execution']
type Page = Schema['CursorPageExecution']

export interface Filter {
  status: string
  workflow: string
  query: string
}

export function useExecutionList(filter: Filter) {
  return useInfiniteQuery({
    queryKey: keys.executionList(filter),
    initialPageParam: '',
    queryFn: ({ pageParam }) =>
      body(
        api.GET('/api/v1/executions', {
          params: {
            query: {
              limit: 50,
              ...(pageParam ? { cursor: pageParam } : {}),
              ...(filter.status ? { status: filter.status as 'failed' } : {}),
              ...(filter.workflow ? { workflow_id: filter.workflow } : {}),
              ...(filter.query ? { query: filter.query } : {}),
            },
          },
        }),
      ),
    getNextPageParam: (last) => last.next_cursor || undefined,
    placeholderData: (before) => before,
  })
}

export function useWorkflowNames() {
  return useQuery({
    queryKey: keys.workflowList({ names: true }),
    queryFn: () => body(api.GET('/api/v1/workflows', { params: { query: { limit: 100, sort: '-updated_at' } } })),
    staleTime: 60_000,
  })
}

/** Writes what an event says into every list at once, before it is read anew. */
export function useApply(): (e: LiveEvent) => void {
  const client = useQueryClient()
  return (e) => {
    if (e.type !== 'execution_update') return
    const { execution_id, status, progress_percentage } = e.data as { execution_id: string; status: Execution['status']; progress_percentage: number }
    client.setQueriesData<InfiniteData<Page>>({ queryKey: [...keys.executions, 'list'] }, (data) =>
      data?.pages
        ? { ...data, pages: data.pages.map((p) => ({ ...p, items: (p.items ?? []).map((x) => (x.id === execution_id ? { ...x, status, progress: progress_percentage } : x)) })) }
        : data,
    )
  }
}
