import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useEffect, useRef, useState } from 'react'
import { flushSync } from 'react-dom'
import { emptyRun, isOver, take, type RunState } from './state'
import { api, body, type Schema } from '@/api/client'
import { keys } from '@/api/keys'
import type { LiveEvent } from '@/api/live'
import { live } from '@/api/socket'

export type ExecutionDetail = Schema['ExecutionDetail']
export type NodeDetail = Schema['NodeDetail']
export type Approval = Schema['Approval']

export interface Run {
  state: RunState
  events: readonly LiveEvent[]
  /** The events of the past are here. */
  ready: boolean
  denied: string
}

/** Follows a run from its first event on. Many events at once are drawn once. */
export function useRun(id: string | undefined): Run {
  const [run, setRun] = useState<Run>({ state: emptyRun(), events: [], ready: false, denied: '' })
  const queue = useRef<LiveEvent[]>([])
  useEffect(() => {
    setRun({ state: emptyRun(), events: [], ready: false, denied: '' })
    queue.current = []
    if (!id) return undefined
    let frame = 0
    const flush = () => {
      frame = 0
      const events = queue.current
      queue.current = []
      // At once, or React would draw it a frame later than the one this was called for.
      flushSync(() => setRun((was) => ({ ...was, ready: true, state: take(was.state, events), events: [...was.events, ...events.filter((e) => e.seq !== undefined)] })))
    }
    const leave = live.watch(
      `execution:${id}`,
      {
        event: (e) => {
          queue.current.push(e)
          // A hidden page gets no frames; it shall still be up to date.
          frame ||= document.hidden ? window.setTimeout(flush, 50) : requestAnimationFrame(flush)
        },
        denied: (message) => setRun((was) => ({ ...was, denied: message })),
      },
      0,
    )
    return () => {
      cancelAnimationFrame(frame)
      leave()
    }
  }, [id])
  return run
}

/** What is stored of an execution; read again when its state has changed. */
export function useExecution(id: string | undefined, mark: string) {
  const client = useQueryClient()
  const query = useQuery({
    queryKey: keys.execution(id ?? ''),
    enabled: !!id,
    queryFn: () => body(api.GET('/api/v1/executions/{id}', { params: { path: { id: id ?? '' } } })),
  })
  useEffect(() => {
    if (!id || !mark) return
    void client.invalidateQueries({ queryKey: keys.execution(id), exact: true })
  }, [id, mark, client])
  return query
}

export function useNodeDetail(execution: string | undefined, node: string | undefined, mark: string) {
  return useQuery({
    queryKey: [...keys.executionNode(execution ?? '', node ?? ''), mark],
    enabled: !!execution && !!node,
    queryFn: () => body(api.GET('/api/v1/executions/{id}/nodes/{node_execution_id}', { params: { path: { id: execution ?? '', node_execution_id: node ?? '' } } })),
    placeholderData: (before) => (before?.id === node ? before : undefined),
  })
}

export function useRunActions() {
  const client = useQueryClient()
  const settled = () => client.invalidateQueries({ queryKey: [...keys.executions, 'list'] })
  return {
    start: useMutation({
      mutationFn: (x: { workflow_id: string; trigger_data?: Record<string, unknown>; start_node?: string; until?: string }) => body(api.POST('/api/v1/executions', { body: x })) as Promise<Schema['Execution']>,
      onSettled: settled,
    }),
    cancel: useMutation({ mutationFn: (id: string) => body(api.POST('/api/v1/executions/{id}/cancel', { params: { path: { id } } })), onSettled: settled }),
    pause: useMutation({ mutationFn: (id: string) => body(api.POST('/api/v1/executions/{id}/pause', { params: { path: { id } } })) }),
    resume: useMutation({ mutationFn: (id: string) => body(api.POST('/api/v1/executions/{id}/resume', { params: { path: { id } } })) }),
    retry: useMutation({
      mutationFn: (x: { id: string; from: string; version?: number; until?: string }) =>
        body(api.POST('/api/v1/executions/{id}/retry', { params: { path: { id: x.id } }, body: { from: x.from, ...(x.version ? { version: x.version } : {}), ...(x.until ? { until: x.until } : {}) } })),
      onSettled: settled,
    }),
    decide: useMutation({
      mutationFn: (x: { approval: Approval; decision: 'approve' | 'reject'; comment?: string; data?: unknown }) =>
        body(
          api.POST('/api/v1/executions/{id}/approvals/{node_id}', {
            params: { path: { id: x.approval.execution_id, node_id: x.approval.node_id } },
            body: { decision: x.decision, ask_id: x.approval.id, iteration: x.approval.iteration, ...(x.comment ? { comment: x.comment } : {}), ...(x.data !== undefined ? { data: x.data as never } : {}) },
          }),
        ),
      onSettled: () => client.invalidateQueries({ queryKey: keys.approvals }),
    }),
  }
}

export { isOver }
