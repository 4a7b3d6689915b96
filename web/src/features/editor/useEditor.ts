import { useCallback, useEffect, useMemo, useReducer, useRef, useState, useSyncExternalStore } from 'react'
import { draftOf, type Draft } from './draft'
import { fetchWorkflow, saveWorkflow, validateWorkflow, type Report, type Workflow } from './queries'
import { Saver, type SaveWorld } from './saver'
import { ApiError, type Tagged } from '@/api/client'
import { useRoom } from '@/api/hooks'
import type { Graph } from '@/canvas/graph'
import { begin, push, redo, settle, undo, type History } from '@/canvas/history'
import { toast } from '@/ui/toast'
import { t } from '@/text'

type Act = { type: 'push'; draft: Draft; key: string } | { type: 'undo' } | { type: 'redo' } | { type: 'settle' } | { type: 'replace'; draft: Draft }

function reduce(h: History<Draft>, act: Act): History<Draft> {
  switch (act.type) {
    case 'push':
      return push(h, act.draft, act.key)
    case 'undo':
      return undo(h)
    case 'redo':
      return redo(h)
    case 'settle':
      return settle(h)
    case 'replace':
      return { ...h, present: act.draft }
  }
}

/** The draft of a workflow with its past, saved as it changes. */
export function useEditor(opened: Tagged<Workflow>) {
  const id = opened.value.id
  const [history, act] = useReducer(reduce, opened.value, (w) => begin(draftOf(w)))
  const draft = history.present
  const [stored, setStored] = useState(opened.value)
  const [report, setReport] = useState<Report>()
  const [theirs, setTheirs] = useState<Tagged<Workflow>>()
  const saved = useRef(draft)

  const saver = useMemo(() => {
    const world: SaveWorld<Draft> = {
      put: async (d, etag) => {
        const answer = await saveWorkflow(id, d, etag)
        saved.current = d
        setStored(answer.value)
        return answer
      },
      later: (run, ms) => {
        const timer = setTimeout(run, ms)
        return () => clearTimeout(timer)
      },
    }
    return new Saver<Draft>(world, opened.etag)
  }, [id]) // eslint-disable-line react-hooks/exhaustive-deps
  const state = useSyncExternalStore(saver.subscribe, () => saver.state)

  useEffect(() => {
    if (draft !== saved.current) saver.change(draft)
  }, [draft, saver])
  useEffect(() => () => void saver.flush(), [saver])
  useEffect(() => {
    const warn = (e: BeforeUnloadEvent) => {
      if (saver.state !== 'saved') {
        void saver.flush()
        e.preventDefault()
      }
    }
    addEventListener('beforeunload', warn)
    return () => removeEventListener('beforeunload', warn)
  }, [saver])

  // What is wrong with it, as the server sees the saved version.
  useEffect(() => {
    if (state !== 'saved') return undefined
    let on = true
    const timer = setTimeout(() => void validateWorkflow(id).then((r) => on && setReport(r), () => undefined), 150)
    return () => {
      on = false
      clearTimeout(timer)
    }
  }, [state, stored.version, id])

  useEffect(() => {
    if (state !== 'conflict') return
    void fetchWorkflow(id).then(setTheirs, () => undefined)
  }, [state, id])

  const look = useCallback(async () => {
    const now = await fetchWorkflow(id).catch((e: unknown) => {
      if (e instanceof ApiError && e.missing) toast(t.editor.deleted, { tone: 'bad' })
    })
    if (!now || now.etag === saver.tag || saver.state !== 'saved') return
    const next = draftOf(now.value)
    saved.current = next
    act({ type: 'push', draft: next, key: '' })
    setStored(now.value)
    saver.settle(now.etag)
    toast(t.editor.updated, { tone: 'run' })
  }, [id, saver])
  useRoom(`workflow:${id}`, {
    event: (e) => {
      if (e.type === 'workflow_update') {
        clearTimeout(looking.current)
        // Our own save is told too: by then its mark is known here.
        looking.current = setTimeout(() => void look(), 600)
      }
    },
    missed: () => void look(),
  })
  const looking = useRef<ReturnType<typeof setTimeout>>(undefined)

  return {
    id,
    draft,
    stored,
    setStored,
    report,
    saver,
    state,
    theirs: state === 'conflict' ? theirs : undefined,
    canUndo: history.past.length > 0,
    canRedo: history.future.length > 0,
    change: useCallback((next: Draft, key = '') => act({ type: 'push', draft: next, key }), []),
    changeGraph: useCallback((from: Draft, g: Graph, key = '') => act({ type: 'push', draft: g === (from as Graph) ? from : { ...from, nodes: g.nodes, connections: g.connections }, key }), []),
    undo: useCallback(() => act({ type: 'undo' }), []),
    redo: useCallback(() => act({ type: 'redo' }), []),
    settle: useCallback(() => act({ type: 'settle' }), []),
    /** Changes what is shown without making it something to save. */
    replace: useCallback((next: Draft) => {
      saved.current = next
      act({ type: 'replace', draft: next })
    }, []),
    keepMine: (): void => {
      if (theirs) saver.settle(theirs.etag, draft)
      setTheirs(undefined)
    },
    takeTheirs: (now: Tagged<Workflow> | undefined = theirs): void => {
      if (!now) return
      const next = draftOf(now.value)
      saved.current = next
      act({ type: 'push', draft: next, key: '' })
      setStored(now.value)
      saver.settle(now.etag)
      setTheirs(undefined)
    },
  }
}

export type Editor = ReturnType<typeof useEditor>
