import { expect, test } from 'vitest'
import { stillTrue, valueAt } from './judged'

test('a value is found by its path, and nothing where the path leads nowhere', () => {
  const config = { headers: [{ name: 'a' }], url: '' }
  expect(valueAt(config, 'headers.0.name')).toBe('a')
  expect(valueAt(config, 'headers[0].name')).toBe('a')
  expect(valueAt(config, 'url.more')).toBeUndefined()
  expect(valueAt(config, '')).toBe(config)
})

test('a message goes when its value is edited, and stays while it is as it was', () => {
  const messages = new Map([
    ['url', 'this must not be empty'],
    ['method', 'choose one'],
    ['body.text', 'this is missing'],
  ])
  const judged = { url: '', method: 'X' }
  expect([...stillTrue(messages, judged, { url: 'https://example.com', method: 'X' }).keys()]).toEqual(['method', 'body.text'])
  expect([...stillTrue(messages, judged, { url: '', method: 'X', body: { text: 'hi' } }).keys()]).toEqual(['url', 'method'])
})
