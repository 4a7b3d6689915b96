/** As much of JSON Schema as forms are made of. */
export interface JsonSchema {
  type?: string | string[]
  title?: string
  description?: string
  properties?: Record<string, JsonSchema>
  required?: string[]
  items?: JsonSchema | boolean
  enum?: unknown[]
  const?: unknown
  default?: unknown
  minimum?: number
  maximum?: number
  minLength?: number
  maxLength?: number
  format?: string
  anyOf?: JsonSchema[]
  oneOf?: JsonSchema[]
  additionalProperties?: boolean | JsonSchema
  widget?: string
  literal?: boolean
}

export function typeOf(s: JsonSchema): string {
  if (s.enum) return 'enum'
  const type = Array.isArray(s.type) ? s.type.find((x) => x !== 'null') : s.type
  if (type) return type
  if (s.properties) return 'object'
  const first = s.anyOf?.[0] ?? s.oneOf?.[0]
  return first ? typeOf(first) : 'any'
}

export function titleOf(name: string, s: JsonSchema): string {
  if (s.title) return s.title
  const words = name.replace(/[_-]+/g, ' ').trim()
  return words.charAt(0).toUpperCase() + words.slice(1)
}

/** What a form begins with: the defaults, and something for what must be there. */
export function startValue(s: JsonSchema): unknown {
  if (s.default !== undefined) return s.default
  switch (typeOf(s)) {
    case 'object': {
      const out: Record<string, unknown> = {}
      for (const [name, p] of Object.entries(s.properties ?? {})) if (s.required?.includes(name) || p.default !== undefined) out[name] = startValue(p)
      return out
    }
    case 'array':
      return []
    case 'boolean':
      return false
    case 'enum':
      return s.enum?.[0]
    case 'string':
      return ''
    default:
      return undefined
  }
}

/** What is wrong with a value, by path; what only the server knows it will say. */
export function check(s: JsonSchema, value: unknown, path = ''): Map<string, string> {
  const out = new Map<string, string>()
  if (typeOf(s) === 'object') {
    const object = (value ?? {}) as Record<string, unknown>
    for (const [name, p] of Object.entries(s.properties ?? {})) {
      const at = path ? `${path}.${name}` : name
      const v = object[name]
      const missing = v === undefined || v === '' || v === null
      if (missing && s.required?.includes(name)) out.set(at, 'required')
      else if (!missing) for (const [k, m] of check(p, v, at)) out.set(k, m)
    }
  } else if (typeof value === 'string' && s.minLength && value.length < s.minLength) out.set(path, 'short')
  else if (typeof value === 'number' && ((s.minimum !== undefined && value < s.minimum) || (s.maximum !== undefined && value > s.maximum))) out.set(path, 'range')
  return out
}
