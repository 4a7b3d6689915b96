import { useQuery } from '@tanstack/react-query'
import type { Kinds } from './graph'
import { api, body } from '@/api/client'
import { keys } from '@/api/keys'

const none: Kinds = new Map()

/** Every kind of node there is, by name. */
export function useKinds(): Kinds {
  return (
    useQuery({
      queryKey: keys.kinds,
      queryFn: async () => new Map(((await body(api.GET('/api/v1/node-kinds'))).items ?? []).map((k) => [k.kind, k])) as Kinds,
      staleTime: Infinity,
      gcTime: Infinity,
    }).data ?? none
  )
}
