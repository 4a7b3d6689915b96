import { describe, expect, it } from 'vitest'
import { offers, partAt, preview, type Scope } from './expression'

const scope: Scope = {
  trigger: { topic: 'bees' },
  nodes: [{ id: 'search', title: 'Search', known: true, output: { results: [{ title: 'A', url: 'u' }] } }, { id: 'write', title: 'Writer', known: false, output: undefined }],
  inLoop: false,
  item: undefined,
  vars: { lang: 'en' },
}

describe('expressions', () => {
  it('are completed where one stands in one', () => {
    expect(partAt('Hello {{ trigger.to', 19, false)).toEqual({ from: 9, part: 'trigger.to' })
    expect(partAt('Hello {{ x }} trigger.', 22, false)).toBeUndefined()
    expect(partAt('nodes.se', 8, true)?.part).toBe('nodes.se')
  })
  it('offer what came before, with what it was', () => {
    expect(offers(scope, 'trigger.')).toEqual([{ text: 'trigger.topic', about: 'bees' }])
    expect(offers(scope, 'nodes.search').map((o) => o.text)).toContain('nodes.search.output.results[0].title')
    expect(offers(scope, 'topic').map((o) => o.text)).toEqual(['trigger.topic'])
    expect(offers(scope, '').some((o) => o.text === 'item')).toBe(false)
  })
  it('are shown with the values of the last run, or not at all', () => {
    expect(preview('On {{ trigger.topic }}: {{ nodes.search.output.results[0].title }}', scope, false)).toBe('On bees: A')
    expect(preview('{{ nodes.search.output.results | json }}', scope, false)).toBe('[{"title":"A","url":"u"}]')
    expect(preview('{{ len(trigger.topic) }}', scope, false)).toBeUndefined()
    expect(preview('{{ nodes.write.output.text }}', scope, false)).toBeUndefined()
    expect(preview('plain', scope, false)).toBeUndefined()
    expect(preview('vars.lang', scope, true)).toBe('en')
  })
})
