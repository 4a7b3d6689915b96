import { expect, it } from 'vitest'
import { compareRuns } from './compare'

const ran = (node_id: string, more: object = {}) => ({ node_id, node_name: node_id, iteration: '', status: 'completed' as const, output: 1, duration_ms: 10, cost_usd: 0, tokens: { input: 0, output: 0, cache_read: 0, cache_write: 0 }, ...more })

it('compares runs node by node and round by round', () => {
  const rows = compareRuns([ran('a'), ran('b', { iteration: '0' }), ran('gone')], [ran('a', { output: 2, duration_ms: 30 }), ran('b', { iteration: '0' }), ran('b', { iteration: '1' })])
  expect(rows.map((r) => [r.title, r.sameStatus, r.sameOutput, r.slowerMs])).toEqual([
    ['a', true, false, 20],
    ['b · 1', true, true, 0],
    ['b · 2', false, false, 10],
    ['gone', false, false, -10],
  ])
})
