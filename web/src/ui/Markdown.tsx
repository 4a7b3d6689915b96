import { Fragment, type ReactNode } from 'react'

/** As much of Markdown as our own help is written in: paragraphs, lists, code. */
export function Markdown({ text }: { text: string }) {
  const out: ReactNode[] = []
  const blocks = text.split(/```\w*\n([\s\S]*?)```/)
  blocks.forEach((block, i) => {
    if (i % 2 === 1) {
      out.push(
        <pre key={i} className="md-code" tabIndex={0}>
          {block}
        </pre>,
      )
      return
    }
    for (const [k, part] of block.split(/\n\s*\n/).entries()) {
      if (!part.trim()) continue
      const lines = part.trim().split('\n')
      if (lines.every((l) => /^\s*[-*] /.test(l)))
        out.push(
          <ul key={`${i}.${k}`} className="md-list">
            {lines.map((l) => (
              <li key={l}>{inline(l.replace(/^\s*[-*] /, ''))}</li>
            ))}
          </ul>,
        )
      else out.push(<p key={`${i}.${k}`}>{inline(part.trim())}</p>)
    }
  })
  return <div className="md">{out}</div>
}

function inline(text: string): ReactNode {
  return text.split(/(`[^`]+`|\*\*[^*]+\*\*)/).map((x, i) => <Fragment key={i}>{x.startsWith('`') ? <code>{x.slice(1, -1)}</code> : x.startsWith('**') ? <strong>{x.slice(2, -2)}</strong> : x}</Fragment>)
}
