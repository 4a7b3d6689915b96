import { describe, expect, it } from 'vitest'
import { factsOf, keptModels, modelsOf, moved, type Model } from './models'

const model = (m: Partial<Model>): Model => ({ id: 'a/b', title: 'B', demo: false, tools: true, vision: false, price: { input: 3, output: 15, cache_read: null, cache_write: null, read: '' }, ...m }) as Model

describe('the models of an agent', () => {
  it('are kept as a name, a list, or nothing', () => {
    expect(modelsOf(undefined)).toEqual([])
    expect(modelsOf('a')).toEqual(['a'])
    expect(keptModels([])).toBeUndefined()
    expect(keptModels(['a'])).toBe('a')
    expect(keptModels(['a', 'b', 'a', ''])).toEqual(['a', 'b'])
  })
  it('change their places, but never leave the list', () => {
    expect(moved(['a', 'b', 'c'], 2, -1)).toEqual(['a', 'c', 'b'])
    expect(moved(['a', 'b'], 0, -1)).toEqual(['a', 'b'])
    expect(moved(['a', 'b'], 1, 1)).toEqual(['a', 'b'])
  })
  it('never call an unknown price nothing', () => {
    expect(factsOf(model({}))).toBe('$3 in, $15 out per million tokens · tools · no images')
    expect(factsOf(model({ vision: true, tools: false, price: { input: null, output: null, cache_read: null, cache_write: null, read: '' } }))).toBe('price unknown · no tools · images')
    expect(factsOf(model({ price: null as never }))).toContain('price unknown')
    expect(factsOf(model({ price: { input: 0.15, output: null, cache_read: null, cache_write: null, read: '' } }))).toContain('$0.15 in, unknown out')
  })
})
