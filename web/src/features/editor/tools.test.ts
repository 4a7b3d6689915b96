import { expect, test } from 'vitest'
import { rulesOf } from './tools'

test('the rules of a tool are a line', () => {
  expect(rulesOf({ risk: 'high', limit: { calls: 100, seconds: 3600 }, restrictions: ['One address.', 'Plain text.'] })).toBe('high risk · 100 uses an hour · One address. · Plain text.')
  expect(rulesOf({ risk: 'low', restrictions: [] })).toBe('low risk')
})

test('a limit is told in the unit it is whole in', () => {
  const told = (calls: number, seconds: number) => rulesOf({ risk: 'low', limit: { calls, seconds }, restrictions: [] }).split(' · ')[1]
  expect(told(1, 60)).toBe('1 use a minute')
  expect(told(60, 900)).toBe('60 uses in 15 minutes')
  expect(told(5, 90)).toBe('5 uses in 90 seconds')
  expect(told(5, 1)).toBe('5 uses a second')
  expect(told(5, 172_800)).toBe('5 uses in 2 days')
})
