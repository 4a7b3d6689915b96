import { useState } from 'react'
import { definitionDraft, draftOf, textOf, type Draft } from './draft'
import { useSetStatus, useVersion, useVersions, type Report } from './queries'
import type { Editor } from './useEditor'
import { diffLines, diffNodes } from '@/canvas/diff'
import { handlesOf, refusal, titleOf, type Connection, type Kinds, type Node } from '@/canvas/graph'
import { ago } from '@/ui/format'
import { Bones, Button, Dialog, Fault } from '@/ui/kit'
import { toast, toastError } from '@/ui/toast'
import { AlertTriangle, CheckCircle2, FileDiff, RotateCcw, X } from 'lucide-react'
import { t } from '@/text'

/** Two states of a workflow, line by line; long stretches that are the same are folded. */
export function TextDiff({ before, after }: { before: Draft; after: Draft }) {
  const lines = diffLines(textOf(before), textOf(after))
  const near = new Set<number>()
  lines.forEach((l, i) => {
    if (l.kind !== 'same') for (let k = i - 3; k <= i + 3; k++) near.add(k)
  })
  if (near.size === 0) return <p className="muted">{t.editor.sameAs}</p>
  return (
    <pre className="textdiff" tabIndex={0} aria-label={t.editor.differences}>
      {lines.map((l, i) =>
        near.has(i) ? (
          <span key={i} className={`d-${l.kind}`}>
            {l.kind === 'added' ? '+ ' : l.kind === 'removed' ? '− ' : '  '}
            {l.text}
            {'\n'}
          </span>
        ) : near.has(i - 1) ? (
          <span key={i} className="d-fold">
            {'  ⋯\n'}
          </span>
        ) : null,
      )}
    </pre>
  )
}

/** Somebody else has saved: both are shown, and a person chooses. */
export function ConflictDialog({ editor, kinds }: { editor: Editor; kinds: Kinds }) {
  const { theirs } = editor
  if (!theirs) return null
  const base = draftOf(editor.stored)
  const other = draftOf(theirs.value)
  const list = (d: Draft) => [...diffNodes(base, d)].map(([id, change]) => ({ id, change, title: titleOf(d.nodes.find((n) => n.id === id) ?? base.nodes.find((n) => n.id === id) ?? { id, kind: id }, kinds) }))
  return (
    <Dialog
      open
      wide
      onClose={() => undefined}
      title={t.editor.conflictTitle}
      footer={
        <>
          <Button title={t.editor.takeTheirsHint} onClick={() => editor.takeTheirs()}>
            {t.editor.takeTheirs}
          </Button>
          <Button kind="primary" title={t.editor.keepMineHint} onClick={editor.keepMine}>
            {t.editor.keepMine}
          </Button>
        </>
      }
    >
      <p className="muted">{t.editor.conflictHint(theirs.value.version)}</p>
      <div className="sides">
        {(
          [
            [t.editor.mine, list(editor.draft), editor.draft.name],
            [t.editor.theirs, list(other), other.name],
          ] as const
        ).map(([side, changes, name]) => (
          <section key={side} className="side-box" aria-label={side}>
            <h3>{side}</h3>
            <p className="clip">
              <strong>{name}</strong>
            </p>
            <ul>
              {changes.length === 0 && <li className="muted">{t.editor.sameAs}</li>}
              {changes.map((c) => (
                <li key={c.id}>
                  <span className={`badge ${c.change === 'added' ? 'tone-ok' : c.change === 'removed' ? 'tone-bad' : 'tone-wait'}`}>{t.canvas.mark[c.change]}</span> {c.title}
                </li>
              ))}
            </ul>
          </section>
        ))}
      </div>
      <h3>{t.editor.differences}</h3>
      <TextDiff before={other} after={editor.draft} />
    </Dialog>
  )
}

/** Where a node's outputs can lead, for hands on the keyboard. */
export function ConnectDialog({ editor, node, kinds, onClose }: { editor: Editor; node: Node; kinds: Kinds; onClose: (c?: Connection) => void }) {
  const options = handlesOf(node, kinds).flatMap((h) =>
    editor.draft.nodes.map((n) => ({ title: titleOf(n, kinds), handle: h, c: { source: node.id, target: n.id, ...(h.name === 'output' ? {} : { source_handle: h.name }) } })).filter((o) => refusal(editor.draft, o.c, kinds) === ''),
  )
  return (
    <Dialog open onClose={() => onClose()} title={t.editor.connectTitle(titleOf(node, kinds))}>
      {options.length === 0 && <p className="muted">{t.editor.connectNothing}</p>}
      <ul className="options">
        {options.map((o, i) => (
          <li key={o.handle.name + o.c.target}>
            <Button kind="ghost" autoFocus={i === 0} onClick={() => onClose(o.c)}>
              {o.handle.name === 'output' ? o.title : `${o.handle.title} → ${o.title}`}
            </Button>
          </li>
        ))}
      </ul>
    </Dialog>
  )
}

/** Publishing, with what stands against it. */
export function PublishDialog({ editor, report, onPick, onClose }: { editor: Editor; report: Report | undefined; onPick: (node: string) => void; onClose: () => void }) {
  const set = useSetStatus(editor.id)
  const bad = report?.errors ?? []
  const warn = report?.warnings ?? []
  const publish = async () => {
    if (!(await editor.saver.flush())) return
    set.mutate('published', {
      onSuccess: (now) => {
        editor.setStored(now.value)
        editor.saver.settle(now.etag)
        toast(t.editor.published(now.value.published_version ?? now.value.version))
        onClose()
      },
    })
  }
  const lines = (list: typeof bad) => (
    <ul className="problems-list">
      {list.map((p, i) => (
        <li key={i}>
          {p.node_id ? (
            <button
              type="button"
              className="link"
              onClick={() => {
                onClose()
                onPick(p.node_id ?? '')
              }}
            >
              {p.message}
            </button>
          ) : (
            p.message
          )}
        </li>
      ))}
    </ul>
  )
  return (
    <Dialog
      open
      onClose={onClose}
      title={t.editor.publishTitle}
      footer={
        <>
          <Button onClick={onClose}>{t.cancel}</Button>
          <Button kind="primary" busy={set.isPending} disabled={bad.length > 0} onClick={() => void publish()}>
            {t.editor.publish}
          </Button>
        </>
      }
    >
      {bad.length > 0 ? (
        <>
          <p className="row bad-text">
            <AlertTriangle size={16} aria-hidden /> {t.editor.publishBad}
          </p>
          {lines(bad)}
        </>
      ) : (
        <p className="row">
          <CheckCircle2 size={16} color="var(--ok)" aria-hidden /> {t.editor.noProblems}
        </p>
      )}
      {warn.length > 0 && (
        <>
          <p>{t.editor.publishWarn}</p>
          {lines(warn)}
        </>
      )}
      <p className="muted">{t.editor.publishHint}</p>
      {set.isError && <Fault error={set.error} />}
    </Dialog>
  )
}

/** Every version there was; one of them beside what there is now. */
export function VersionsPanel({ editor, chosen, onChoose, onClose }: { editor: Editor; chosen: number | undefined; onChoose: (version: number | undefined) => void; onClose: () => void }) {
  const list = useVersions(editor.id, true)
  const version = useVersion(editor.id, chosen)
  const [text, setText] = useState(false)
  const old = version.data?.definition && chosen === version.data.version ? definitionDraft(version.data.definition) : undefined
  const restore = () => {
    if (!old) return
    editor.change(old)
    onChoose(undefined)
    toast(t.editor.restored(chosen ?? 0))
  }
  return (
    <aside className="panel" aria-label={t.editor.versions}>
      <header className="panel-head">
        <h2 className="grow">{t.editor.versions}</h2>
        <Button kind="ghost" icon={X} label={t.close} onClick={onClose} />
      </header>
      <div className="panel-body">
        {list.isPending ? (
          <Bones rows={5} height={40} />
        ) : list.isError ? (
          <Fault error={list.error} retry={() => void list.refetch()} />
        ) : (
          <ul className="versions">
            {(list.data.items ?? []).map((v, i) => (
              <li key={v.version}>
                <button type="button" aria-pressed={chosen === v.version} onClick={() => onChoose(chosen === v.version ? undefined : v.version)}>
                  <strong>{t.editor.version(v.version)}</strong>
                  {i === 0 && <span className="badge tone-idle">{t.editor.current}</span>}
                  {v.version === editor.stored.published_version && <span className="badge tone-ok">{t.editor.live}</span>}
                  <span className="muted grow when">{ago(v.created_at)}</span>
                  {v.message && <span className="muted message clip">{v.message}</span>}
                </button>
                {chosen === v.version && (
                  <div className="row version-acts">
                    <Button size="small" icon={FileDiff} disabled={!old} onClick={() => setText(true)}>
                      {t.editor.asText}
                    </Button>
                    <Button size="small" icon={RotateCcw} disabled={!old} onClick={restore}>
                      {t.editor.restore}
                    </Button>
                  </div>
                )}
              </li>
            ))}
          </ul>
        )}
        {version.isError && <Fault error={version.error} retry={() => void version.refetch().catch(toastError)} />}
      </div>
      {text && old && (
        <Dialog open wide onClose={() => setText(false)} title={t.editor.viewing(chosen ?? 0)}>
          <TextDiff before={old} after={editor.draft} />
        </Dialog>
      )}
    </aside>
  )
}
