import { useInfiniteQuery, useMutation, useQueryClient } from '@tanstack/react-query'
import { api, authorised, body } from '@/api/client'
import { keys } from '@/api/keys'
import { place } from '@/app/place'

export interface Filter {
  query: string
  status: '' | 'draft' | 'published' | 'archived'
  tags: string[]
}

const pageSize = 50

export function useWorkflowList(filter: Filter) {
  return useInfiniteQuery({
    queryKey: keys.workflowList(filter),
    initialPageParam: 0,
    queryFn: ({ pageParam }) =>
      body(
        api.GET('/api/v1/workflows', {
          params: {
            query: {
              limit: pageSize,
              offset: pageParam,
              sort: '-updated_at',
              ...(filter.query ? { query: filter.query } : {}),
              ...(filter.status ? { status: filter.status } : {}),
              ...(filter.tags.length ? { tags: filter.tags } : {}),
            },
          },
        }),
      ),
    getNextPageParam: (last) => (last.offset + last.limit < last.total ? last.offset + last.limit : undefined),
    placeholderData: (before) => before,
  })
}

export function useWorkflowActions() {
  const client = useQueryClient()
  const settled = () => client.invalidateQueries({ queryKey: keys.workflows })
  return {
    duplicate: useMutation({ mutationFn: (id: string) => body(api.POST('/api/v1/workflows/{id}/duplicate', { params: { path: { id } }, body: {} })), onSettled: settled }),
    setStatus: useMutation({
      mutationFn: (x: { id: string; status: 'draft' | 'archived' }) => body(api.PATCH('/api/v1/workflows/{id}/status', { params: { path: { id: x.id } }, body: { status: x.status } })),
      onSettled: settled,
    }),
    remove: useMutation({ mutationFn: (id: string) => body(api.DELETE('/api/v1/workflows/{id}', { params: { path: { id } } })), onSettled: settled }),
  }
}

/** Saves a workflow as a file on this computer. */
export async function download(id: string, name: string): Promise<void> {
  const answer = await authorised(new Request(place(`api/v1/workflows/${id}/export?format=yaml`)))
  if (!answer.ok) throw new Error(answer.statusText)
  const link = document.createElement('a')
  link.href = URL.createObjectURL(await answer.blob())
  link.download = `${name.toLowerCase().replace(/[^a-z0-9]+/g, '-').replace(/^-|-$/g, '') || 'workflow'}.yaml`
  link.click()
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000)
}
