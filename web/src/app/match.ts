/** How well words fit a text: 0 not at all, more is better. */
export function score(query: string, text: string): number {
  const q = query.trim().toLowerCase()
  if (!q) return 1
  const low = text.toLowerCase()
  if (low === q) return 100
  if (low.startsWith(q)) return 80
  const at = low.indexOf(q)
  if (at > 0) return /[\s\-_./]/.test(low[at - 1] ?? '') ? 70 : 50
  const words = q.split(/\s+/)
  if (words.length > 1) return words.every((w) => low.includes(w)) ? 45 : 0
  // The letters in their order, the closer the better.
  let from = 0
  let gaps = 0
  for (const letter of q) {
    const found = low.indexOf(letter, from)
    if (found < 0) return 0
    gaps += found - from
    from = found + 1
  }
  return Math.max(1, 30 - gaps)
}

export function best<T>(query: string, list: T[], text: (item: T) => string): T[] {
  return list
    .map((item, i) => ({ item, i, s: score(query, text(item)) }))
    .filter((x) => x.s > (query.trim() ? 8 : 0))
    .sort((a, b) => b.s - a.s || a.i - b.i)
    .map((x) => x.item)
}
