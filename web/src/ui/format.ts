import { t } from '@/text'

const day = 86_400_000

/** How long ago, in the words people use. */
export function ago(iso: string | null | undefined, now = Date.now()): string {
  if (!iso) return t.time.never
  const then = new Date(iso).getTime()
  const gone = now - then
  if (gone < 5_000) return t.time.now
  if (gone < 60_000) return t.time.seconds(Math.floor(gone / 1000))
  if (gone < 3_600_000) return t.time.minutes(Math.floor(gone / 60_000))
  if (gone < day) return t.time.hours(Math.floor(gone / 3_600_000))
  if (gone < 2 * day) return t.time.yesterday
  if (gone < 7 * day) return t.time.days(Math.floor(gone / day))
  return new Date(then).toLocaleDateString(undefined, { day: 'numeric', month: 'short', year: gone > 300 * day ? 'numeric' : undefined })
}

export function moment(iso: string | null | undefined): string {
  if (!iso) return ''
  return new Date(iso).toLocaleString(undefined, { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit', second: '2-digit' })
}

/** 87 ms, 1.3 s, 2 min 5 s, 3 h 10 min. */
export function duration(ms: number | null | undefined): string {
  if (ms === null || ms === undefined) return ''
  if (ms < 1000) return `${Math.round(ms)} ms`
  if (ms < 60_000) return `${(ms / 1000).toFixed(ms < 10_000 ? 1 : 0)} s`
  const minutes = Math.floor(ms / 60_000)
  if (minutes < 60) return `${minutes} min ${Math.floor((ms % 60_000) / 1000)} s`
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}

export function count(n: number): string {
  if (n < 10_000) return n.toLocaleString('en-US')
  if (n < 1_000_000) return `${(n / 1000).toFixed(n < 100_000 ? 1 : 0)}k`
  return `${(n / 1_000_000).toFixed(1)}M`
}

export function money(usd: number): string {
  if (usd === 0) return '$0'
  if (usd < 0.01) return `$${usd.toFixed(4)}`
  return `$${usd.toFixed(2)}`
}
