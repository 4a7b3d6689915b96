/** The examples that come with the product, as starting points. */
export interface Template {
  id: string
  name: string
  description: string
  tags: string[]
  steps: number
  source: string
}

const files = import.meta.glob<string>('../../../../examples/*.yaml', { query: '?raw', import: 'default', eager: true })

function line(source: string, key: string): string {
  return new RegExp(`^${key}: *(.+)$`, 'm').exec(source)?.[1]?.trim().replace(/^(['"])(.*)\1$/, '$2') ?? ''
}

export const templates: Template[] = Object.entries(files).map(([path, source]) => ({
  id: path.replace(/^.*\/|\.yaml$/g, ''),
  name: line(source, 'name'),
  description: line(source, 'description'),
  tags: line(source, 'tags')
    .replace(/[[\]]/g, '')
    .split(',')
    .map((x) => x.trim())
    .filter((x) => x && x !== 'example'),
  steps: source.match(/^ {2}- id: /gm)?.length ?? 0,
  source,
}))
// What shows most comes first.
templates.sort((a, b) => Number(b.id === 'research-digest') - Number(a.id === 'research-digest'))
