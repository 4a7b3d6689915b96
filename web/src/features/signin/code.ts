/** The digits of a pasted or typed text, at most six. */
export function digitsOf(text: string): string {
  return text.replace(/\D/g, '').slice(0, 6)
}

/**
 * What six boxes hold after text was put into box at: one digit replaces it,
 * several go on from there. next is the box to go to.
 */
export function enter(code: string[], at: number, text: string): { code: string[]; next: number } {
  const digits = digitsOf(text)
  const out = [...code]
  if (digits.length === 0) {
    out[at] = ''
    return { code: out, next: at }
  }
  // A whole code is a whole code, wherever it is pasted.
  const from = digits.length === 6 ? 0 : at
  for (let i = 0; i < digits.length && from + i < 6; i++) out[from + i] = digits[i] ?? ''
  return { code: out, next: Math.min(5, from + digits.length) }
}
