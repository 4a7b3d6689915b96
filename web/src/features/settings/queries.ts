import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { api, body, session, type Schema } from '@/api/client'
import { keys } from '@/api/keys'

export type Session = Schema['Session']
export type ApiKey = Schema['APIKey']
export type NewKey = Schema['NewAPIKey']

export function useSaveName() {
  return useMutation({
    mutationFn: (full_name: string) => body(api.PATCH('/api/v1/auth/me', { body: { full_name } })),
    onSuccess: (user) => session.change(user),
  })
}

export function useSessions() {
  return useQuery({ queryKey: keys.sessions, queryFn: () => body(api.GET('/api/v1/auth/sessions', { params: { query: { limit: 100 } } })) })
}

export function useEndSession() {
  const client = useQueryClient()
  return useMutation({
    mutationFn: (id: string) => body(api.DELETE('/api/v1/auth/sessions/{id}', { params: { path: { id } } })),
    onSettled: () => client.invalidateQueries({ queryKey: keys.sessions }),
  })
}

export function useApiKeys() {
  return useQuery({ queryKey: keys.apiKeys, queryFn: () => body(api.GET('/api/v1/auth/api-keys', { params: { query: { limit: 100 } } })) })
}

export function useMakeKey() {
  const client = useQueryClient()
  return useMutation({
    mutationFn: (x: { name: string; scopes: string[]; days: number }) =>
      body(
        api.POST('/api/v1/auth/api-keys', {
          body: { name: x.name, scopes: x.scopes as never, ...(x.days ? { expires_at: new Date(Date.now() + x.days * 86_400_000).toISOString() } : {}) },
        }),
      ),
    onSuccess: () => client.invalidateQueries({ queryKey: keys.apiKeys }),
  })
}

export function useRevokeKey() {
  const client = useQueryClient()
  return useMutation({
    mutationFn: (id: string) => body(api.DELETE('/api/v1/auth/api-keys/{id}', { params: { path: { id } } })),
    onSettled: () => client.invalidateQueries({ queryKey: keys.apiKeys }),
  })
}
