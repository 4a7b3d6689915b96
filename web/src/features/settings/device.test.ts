import { expect, it } from 'vitest'
import { deviceOf } from './device'

it('names browsers and programs', () => {
  expect(deviceOf('Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36')).toBe('Chrome on Linux')
  expect(deviceOf('Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15) AppleWebKit/605.1 Version/18.0 Safari/605.1')).toBe('Safari on macOS')
  expect(deviceOf('curl/8.5.0')).toBe('curl')
  expect(deviceOf('')).toBe('Unknown device')
})
