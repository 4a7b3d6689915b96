/** The value at a dotted path, such as headers.0.name; undefined where there is none. */
export function valueAt(of: unknown, path: string): unknown {
  let v = of
  for (const step of path.split(/[.[\]]+/).filter(Boolean)) {
    if (typeof v !== 'object' || v === null) return undefined
    v = (v as Record<string, unknown>)[step]
  }
  return v
}

/**
 * What of the messages about a config still holds after it was edited: those
 * about values that are as they were judged. The next judgement tells of the rest.
 */
export function stillTrue(messages: ReadonlyMap<string, string>, judged: unknown, now: unknown): Map<string, string> {
  const out = new Map<string, string>()
  for (const [path, message] of messages) if (JSON.stringify(valueAt(judged, path)) === JSON.stringify(valueAt(now, path))) out.set(path, message)
  return out
}
