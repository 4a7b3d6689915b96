import { describe, expect, it } from 'vitest'
import { digitsOf, enter } from './code'

const empty = ['', '', '', '', '', '']

describe('the six boxes of a code', () => {
  it('go on to the next with each digit', () => {
    expect(enter(empty, 0, '4')).toEqual({ code: ['4', '', '', '', '', ''], next: 1 })
    expect(enter(['1', '2', '3', '4', '5', ''], 5, '6').next).toBe(5)
  })
  it('take a whole code wherever it is pasted, with what stands around it', () => {
    expect(enter(empty, 3, 'Your code: 123 456.').code.join('')).toBe('123456')
  })
  it('take a part from where it is pasted', () => {
    expect(enter(empty, 2, '78')).toEqual({ code: ['', '', '7', '8', '', ''], next: 4 })
  })
  it('are emptied by what is no digit', () => {
    expect(enter(['1', '', '', '', '', ''], 0, 'x').code[0]).toBe('')
    expect(digitsOf('a1b2c3d4e5f6g7')).toBe('123456')
  })
})
