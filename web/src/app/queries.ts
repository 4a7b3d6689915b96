import { QueryClient } from '@tanstack/react-query'
import { ApiError } from '@/api/client'

/** What was fetched. Live pages are told of changes; nothing is polled. */
export const queries = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 15_000,
      refetchOnWindowFocus: false,
      retry: (failures, error) => !(error instanceof ApiError && error.status < 500) && failures < 3,
    },
  },
})
