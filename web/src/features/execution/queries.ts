import { useQuery } from '@tanstack/react-query'
import { api, body } from '@/api/client'
import { keys } from '@/api/keys'
import type { Graph } from '@/canvas/graph'

/** The drawing of the version that ran. */
export function useRanVersion(workflow: string | undefined, version: number | undefined) {
  return useQuery({
    queryKey: keys.version(workflow ?? '', version ?? 0),
    enabled: !!workflow && !!version,
    staleTime: Infinity,
    retry: false,
    queryFn: () => body(api.GET('/api/v1/workflows/{id}/versions/{version}', { params: { path: { id: workflow ?? '', version: version ?? 0 } } })),
    select: (v): Graph => ({ nodes: v.definition?.nodes ?? [], connections: v.definition?.connections ?? [] }),
  })
}

/** Other runs of the workflow, to compare with. */
export function useOtherRuns(workflow: string | undefined, open: boolean) {
  return useQuery({
    queryKey: keys.executionList({ compare: workflow }),
    enabled: !!workflow && open,
    queryFn: () => body(api.GET('/api/v1/executions', { params: { query: { workflow_id: workflow ?? '', limit: 30 } } })),
  })
}
