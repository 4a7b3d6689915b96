import { describe, expect, it } from 'vitest'
import { check, startValue, titleOf, typeOf, type JsonSchema } from './schema'

const topic: JsonSchema = { type: 'object', required: ['topic'], properties: { topic: { type: 'string', minLength: 2 }, depth: { type: 'integer', minimum: 1, maximum: 5, default: 2 }, tone: { enum: ['dry', 'warm'] } } }

describe('forms from a schema', () => {
  it('begin with defaults and what is required', () => {
    expect(startValue(topic)).toEqual({ topic: '', depth: 2 })
  })
  it('name every fault by its place', () => {
    expect([...check(topic, { topic: '', depth: 9 })]).toEqual([
      ['topic', 'required'],
      ['depth', 'range'],
    ])
    expect([...check(topic, { topic: 'x' })]).toEqual([['topic', 'short']])
    expect(check(topic, { topic: 'bees' }).size).toBe(0)
  })
  it('read types and titles as people would', () => {
    expect(typeOf({ type: ['string', 'null'] })).toBe('string')
    expect(typeOf({ anyOf: [{ type: 'string' }, { type: 'array' }] })).toBe('string')
    expect(typeOf({})).toBe('any')
    expect(titleOf('max_tokens', {})).toBe('Max tokens')
  })
})
