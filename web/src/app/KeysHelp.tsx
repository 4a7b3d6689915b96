import { keyCaps, useAllCommands } from './commands'
import { Dialog } from '@/ui/kit'
import { t } from '@/text'

/** The keys that work just now. */
export function KeysHelp({ onClose }: { onClose: () => void }) {
  const groups = new Map<string, { title: string; keys: string }[]>()
  for (const c of useAllCommands()) {
    if (c.keys) groups.set(c.group, [...(groups.get(c.group) ?? []), { title: c.title, keys: c.keys }])
  }
  return (
    <Dialog open onClose={onClose} title={t.keys.title} wide>
      <div className="keys">
        {[...groups].map(([group, list]) => (
          <section key={group}>
            <h3>{group}</h3>
            <dl>
              {list.map((k) => (
                <div key={k.title}>
                  <dt>{k.title}</dt>
                  <dd className="caps">
                    {keyCaps(k.keys.split(' | ')[0] ?? '').map((cap, i) => (
                      <kbd key={i}>{cap}</kbd>
                    ))}
                  </dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
    </Dialog>
  )
}
