import type { useReactFlow } from '@xyflow/react'
import { useEffect } from 'react'
import type { Editor } from './useEditor'
import { useCommands, type Command } from '@/app/commands'
import { copy, paste, read } from '@/canvas/clipboard'
import { align, changeNode, nodeOf, removeNodes, type Edge, type Kinds } from '@/canvas/graph'
import { layout } from '@/canvas/layout'
import { toast } from '@/ui/toast'
import { t } from '@/text'

interface Given {
  editor: Editor
  kinds: Kinds
  selection: string[]
  setSelection: (ids: string[]) => void
  flow: ReturnType<typeof useReactFlow>
  askAdd: () => void
  askRun: () => void
  askConnect: () => void
  openPanel: () => void
  openVersions: () => void
  askPublish: () => void
  togglePalette: () => void
}

/** What can be done in the editor, by the palette or by a key. */
export function useEditorCommands(g: Given): void {
  const { editor, kinds, selection, setSelection, flow } = g
  const { draft } = editor
  const group = t.editor.group
  const any = selection.length > 0
  const remove = () => {
    if (!any) return
    editor.changeGraph(draft, removeNodes(draft, selection, kinds))
    setSelection([])
  }
  const put = (text: string) => {
    const clip = read(text)
    if (!clip) {
      toast(t.editor.pasteNothing, { tone: 'bad' })
      return
    }
    const { graph, ids } = paste(draft, clip)
    editor.changeGraph(draft, graph)
    setSelection(ids)
  }
  const step = (by: number) => {
    // From left to right, as one reads.
    const order = [...draft.nodes].sort((a, b) => (a.position?.x ?? 0) - (b.position?.x ?? 0) || (a.position?.y ?? 0) - (b.position?.y ?? 0)).map((n) => n.id)
    if (order.length === 0) return
    const at = order.indexOf(selection[0] ?? '')
    const next = order[at < 0 ? 0 : (at + by + order.length) % order.length] ?? ''
    setSelection([next])
    void flow.fitView({ nodes: [{ id: next }], maxZoom: flow.getZoom(), minZoom: flow.getZoom(), duration: 150 })
  }
  const list: Command[] = [
    { id: 'e.add', title: t.editor.add, group, keys: 'a', run: g.askAdd },
    { id: 'e.palette', title: t.editor.togglePalette, group, keys: 'p', run: g.togglePalette },
    { id: 'e.connect', title: t.editor.connectTo, group, keys: 'c', run: g.askConnect },
    { id: 'e.run', title: t.editor.run, group, keys: 'mod+enter', inFields: true, run: g.askRun },
    { id: 'e.open', title: t.editor.openPanel, group, keys: 'e', run: () => { g.openPanel(); requestAnimationFrame(() => document.querySelector<HTMLElement>('.panel .panel-form input, .panel .panel-form textarea, .panel .panel-form select')?.focus()) } },
    { id: 'e.next', title: t.editor.nextNode, group, keys: 'j', run: () => step(1) },
    { id: 'e.before', title: t.editor.nextNode, group, keys: 'k', hidden: true, run: () => step(-1) },
    { id: 'e.undo', title: t.editor.undo, group, keys: 'mod+z', run: editor.undo },
    { id: 'e.redo', title: t.editor.redo, group, keys: 'mod+z+shift | mod+shift+z | mod+y', run: editor.redo },
    { id: 'e.remove', title: t.editor.remove, group, keys: 'delete | backspace', run: remove },
    {
      id: 'e.duplicate',
      title: t.editor.duplicate,
      group,
      keys: 'mod+d',
      run: () => {
        if (any) put(copy(draft, selection))
      },
    },
    { id: 'e.all', title: t.editor.selectAll, group, keys: 'mod+a', run: () => setSelection(draft.nodes.map((n) => n.id)) },
    { id: 'e.none', title: t.editor.deselect, group, keys: 'escape', hidden: true, run: () => setSelection([]) },
    {
      id: 'e.disable',
      title: t.editor.disable,
      group,
      keys: 'd',
      run: () => {
        const off = selection.some((id) => nodeOf(draft, id)?.enabled !== false)
        let next = draft as { nodes: typeof draft.nodes; connections: typeof draft.connections }
        for (const id of selection) next = changeNode(next, id, { enabled: off ? false : undefined } as never)
        if (any) editor.changeGraph(draft, next)
      },
    },
    { id: 'e.layout', title: t.editor.layout, group, keys: 'l', run: () => { editor.changeGraph(draft, layout(draft, kinds)); requestAnimationFrame(() => void flow.fitView({ padding: 0.2, maxZoom: 1 })) } },
    { id: 'e.fit', title: t.editor.fit, group, keys: 'f', run: () => void flow.fitView({ padding: 0.2, maxZoom: 1 }) },
    { id: 'e.versions', title: t.editor.versions, group, keys: 'v', run: g.openVersions },
    { id: 'e.publish', title: t.editor.publish, group, run: g.askPublish },
    ...(selection.length > 1 ? Object.entries(t.editor.align).map(([edge, title]): Command => ({ id: `e.align.${edge}`, title, group, run: () => editor.changeGraph(draft, align(draft, selection, edge as Edge, kinds)) })) : []),
  ]
  useCommands(list, [selection.length > 1])

  // The clipboard is the system's: nodes go from workflow to workflow as JSON.
  useEffect(() => {
    const typing = (e: Event) => /^(INPUT|TEXTAREA|SELECT)$/.test((e.target as HTMLElement | null)?.tagName ?? '') || !!document.querySelector('dialog[open]')
    const onCopy = (e: ClipboardEvent) => {
      if (typing(e) || !any || !document.getSelection()?.isCollapsed) return
      e.clipboardData?.setData('text/plain', copy(draft, selection))
      e.preventDefault()
      if (e.type === 'cut') remove()
    }
    const onPaste = (e: ClipboardEvent) => {
      if (typing(e)) return
      e.preventDefault()
      put(e.clipboardData?.getData('text/plain') ?? '')
    }
    document.addEventListener('copy', onCopy)
    document.addEventListener('cut', onCopy)
    document.addEventListener('paste', onPaste)
    return () => {
      document.removeEventListener('copy', onCopy)
      document.removeEventListener('cut', onCopy)
      document.removeEventListener('paste', onPaste)
    }
  })
}
