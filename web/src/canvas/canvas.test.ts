import { describe, expect, it } from 'vitest'
import { copy, paste, read } from './clipboard'
import { diffLines, diffNodes } from './diff'
import { choiceOf, choicesOf, type Choice } from './choices'
import { align, changeNode, connect, dropLostHandles, freshId, groupAt, handlesOf, insertOn, makeRoom, newNode, originOf, overlaps, refusal, removeNodes, sizeOf, upstream, type Graph, type Kind, type Kinds, roomAt } from './graph'
import { begin, push, redo, settle, undo } from './history'
import { layout } from './layout'

const kind = (k: Partial<Kind> & { kind: string }): Kind => ({ title: k.kind, outputs: [{ name: 'output' }], container: false, no_input: false, config_schema: {}, ...k }) as Kind
const kinds: Kinds = new Map(
  [
    kind({ kind: 'manual-trigger', no_input: true }),
    kind({ kind: 'agent', config_schema: { type: 'object', required: ['prompt'], properties: { prompt: { type: 'string' } } } }),
    kind({ kind: 'condition', outputs: [{ name: 'true' }, { name: 'false' }] }),
    kind({ kind: 'switch', outputs: [{ name: 'default' }] }),
    kind({ kind: 'loop', container: true }),
    kind({ kind: 'set' }),
  ].map((k) => [k.kind, k]),
)

const chain: Graph = {
  nodes: [
    { id: 'start', kind: 'manual-trigger', position: { x: 0, y: 0 } },
    { id: 'a', kind: 'agent', position: { x: 240, y: 0 } },
    { id: 'b', kind: 'set', position: { x: 480, y: 0 }, config: { values: { x: '{{ nodes.a.output.text }}' } } },
  ],
  connections: [
    { source: 'start', target: 'a' },
    { source: 'a', target: 'b' },
  ],
}

describe('a graph', () => {
  it('names new nodes for their kind, each id once', () => {
    expect(freshId([], 'manual-trigger')).toBe('manual')
    expect(freshId(['agent', 'agent_2'], 'agent')).toBe('agent_3')
    expect(newNode(chain, kinds.get('agent') as Kind, { x: 1, y: 2 }).config).toEqual({ prompt: '' })
  })
  it('begins a node with the settings of its preset', () => {
    const agent = { ...(kinds.get('agent') as Kind), presets: [{ name: 'code', title: 'Code interpreter', description: '', icon: 'bot', config: { tools: ['code_run'] } }] }
    const [plain, preset] = choicesOf(new Map([['agent', agent]]))
    expect(newNode(chain, plain as Choice, { x: 0, y: 0 }).title).toBe(agent.title)
    expect(newNode(chain, preset as Choice, { x: 0, y: 0 })).toMatchObject({ kind: 'agent', title: 'Code interpreter', config: { prompt: '', tools: ['code_run'] } })
    expect(choiceOf(new Map([['agent', agent]]), 'agent:code')?.key).toBe('agent:code')
  })
  it('finds the innermost group under a point, wherever it stands', () => {
    const g: Graph = {
      nodes: [
        { id: 'outer', kind: 'loop', position: { x: 100, y: 100 } },
        { id: 'step', kind: 'set', parent_id: 'outer', position: { x: 20, y: 60 } },
        { id: 'inner', kind: 'loop', parent_id: 'outer', position: { x: 240, y: 60 } },
      ],
      connections: [],
    }
    expect(originOf(g, 'inner')).toEqual({ x: 340, y: 160 })
    expect(groupAt(g, { x: 400, y: 220 }, kinds)?.id).toBe('inner')
    expect(groupAt(g, { x: 130, y: 180 }, kinds)?.id).toBe('outer')
    expect(groupAt(g, { x: 90, y: 180 }, kinds)).toBeUndefined()
  })
  it('refuses what cannot be connected, and says why', () => {
    expect(refusal(chain, { source: 'a', target: 'a' }, kinds)).toBe('self')
    expect(refusal(chain, { source: 'a', target: 'b' }, kinds)).toBe('twice')
    expect(refusal(chain, { source: 'b', target: 'a' }, kinds)).toBe('cycle')
    expect(refusal(chain, { source: 'b', target: 'start' }, kinds)).toBe('trigger')
    expect(refusal(chain, { source: 'start', target: 'b' }, kinds)).toBe('')
    const inLoop = { ...chain, nodes: [...chain.nodes, { id: 'l', kind: 'loop' }, { id: 'i', kind: 'set', parent_id: 'l' }] }
    expect(refusal(inLoop, { source: 'a', target: 'i' }, kinds)).toBe('group')
  })
  it('puts a node into a connection', () => {
    const node = { id: 'c', kind: 'condition' }
    const g = insertOn(chain, { source: 'a', target: 'b' }, node, kinds)
    expect(g.connections).toEqual([
      { source: 'start', target: 'a' },
      { source: 'a', target: 'c' },
      { source: 'c', target: 'b', source_handle: 'true' },
    ])
  })
  it('closes the gap when a node in a row is removed', () => {
    expect(removeNodes(chain, ['a'], kinds).connections).toEqual([{ source: 'start', target: 'b' }])
  })
  it('removes the inside of a group with it', () => {
    const g = { nodes: [{ id: 'l', kind: 'loop' }, { id: 'i', kind: 'set', parent_id: 'l' }], connections: [] }
    expect(removeNodes(g, ['l'], kinds).nodes).toEqual([])
  })
  it('knows the handles of cases and of errors, and drops lines to lost ones', () => {
    const n = { id: 's', kind: 'switch', config: { cases: [{ name: 'x' }, { name: 'y' }] }, on_error: 'branch' }
    expect(handlesOf(n, kinds).map((h) => h.name)).toEqual(['x', 'y', 'default', 'error'])
    let g: Graph = { nodes: [n, { id: 't', kind: 'set' }], connections: [] }
    g = connect(g, { source: 's', target: 't', source_handle: 'y' }, kinds)
    g = changeNode(g, 's', { config: { cases: [{ name: 'x' }] } })
    expect(dropLostHandles(g, 's', kinds).connections).toEqual([])
  })
  it('finds what comes before a node, from inside a group too', () => {
    const g: Graph = {
      nodes: [...chain.nodes, { id: 'l', kind: 'loop' }, { id: 'i', kind: 'set', parent_id: 'l' }, { id: 'k', kind: 'set', parent_id: 'l' }],
      connections: [...chain.connections, { source: 'b', target: 'l' }, { source: 'i', target: 'k' }],
    }
    expect(upstream(g, 'k').map((n) => n.id)).toEqual(['i', 'b', 'a', 'start'])
  })
  it('aligns', () => {
    const g = align({ ...chain, nodes: chain.nodes.map((n, i) => ({ ...n, position: { x: i * 240, y: i * 40 } })) }, ['start', 'b'], 'top', kinds)
    expect(g.nodes.map((n) => n.position?.y)).toEqual([0, 40, 0])
  })
})

describe('history', () => {
  it('undoes and does again without an end, and joins what belongs together', () => {
    let h = begin(0)
    for (let i = 1; i <= 500; i++) h = push(h, i)
    for (let i = 0; i < 500; i++) h = undo(h)
    expect(h.present).toBe(0)
    expect(undo(h)).toBe(h)
    for (let i = 0; i < 500; i++) h = redo(h)
    expect(h.present).toBe(500)
    h = push(push(push(h, 501, 'title'), 502, 'title'), 503, 'title')
    expect(undo(h).present).toBe(500)
    h = push(settle(h), 504, 'title')
    expect(undo(h).present).toBe(503)
  })
  it('forgets the future when something new is done', () => {
    const h = push(undo(push(begin('a'), 'b')), 'c')
    expect(redo(h).present).toBe('c')
  })
})

describe('the clipboard', () => {
  it('carries nodes from workflow to workflow, references following', () => {
    const text = copy(chain, ['a', 'b'])
    const clip = read(text)
    expect(clip).toBeDefined()
    const { graph, ids } = paste(chain, clip as Graph, { x: 1000, y: 100 })
    expect(ids).toEqual(['a_2', 'b_2'])
    expect(graph.nodes.at(-1)?.config).toEqual({ values: { x: '{{ nodes.a_2.output.text }}' } })
    expect(graph.nodes.at(-2)?.position).toEqual({ x: 1000, y: 100 })
    expect(graph.connections.at(-1)).toEqual({ source: 'a_2', target: 'b_2' })
    expect(paste({ nodes: [], connections: [] }, clip as Graph).ids).toEqual(['a', 'b'])
  })
  it('takes the inside of a group along', () => {
    const g = { nodes: [{ id: 'l', kind: 'loop' }, { id: 'i', kind: 'set', parent_id: 'l', position: { x: 20, y: 60 } }], connections: [] }
    const { graph } = paste(g, read(copy(g, ['l'])) as Graph)
    expect(graph.nodes.at(-1)).toMatchObject({ id: 'i_2', parent_id: 'l_2', position: { x: 20, y: 60 } })
  })
  it('reads nothing else', () => {
    expect(read('hello')).toBeUndefined()
    expect(read('{"nodes":[{"id":1}]}')).toBeUndefined()
  })
})

describe('room for a node', () => {
  const at = (id: string, x: number, y: number, more: object = {}) => ({ id, kind: 'set', position: { x, y }, ...more })
  it('is made by moving what comes behind it, and nothing else', () => {
    const before = { nodes: [at('a', 0, 0), at('b', 256, 0), at('c', 512, 0), at('aside', 0, 400), at('over', 300, -200)], connections: [{ source: 'a', target: 'b' }, { source: 'b', target: 'c' }] }
    const n = at('new', 130, 16)
    const g = makeRoom(insertOn(before, { source: 'a', target: 'b' }, n, kinds), 'new', kinds)
    expect(overlaps(g, kinds)).toBe(false)
    for (const id of ['a', 'aside', 'over']) expect(g.nodes.find((m) => m.id === id)).toEqual(before.nodes.find((m) => m.id === id))
    const x = (id: string) => g.nodes.find((m) => m.id === id)?.position?.x ?? 0
    expect(x('c') - x('b')).toBe(256)
  })
  it('is found below what stands in its way', () => {
    const g = makeRoom({ nodes: [at('a', 0, 0), at('b', 0, 80), at('new', 10, 10)], connections: [] }, 'new', kinds)
    expect(overlaps(g, kinds)).toBe(false)
    expect(g.nodes.slice(0, 2).map((n) => n.position)).toEqual([{ x: 0, y: 0 }, { x: 0, y: 80 }])
  })
  it('is made around a group that grows', () => {
    const inner = [at('i', 20, 60, { parent_id: 'l' }), at('k', 276, 60, { parent_id: 'l' })]
    const before = { nodes: [{ id: 'l', kind: 'loop', position: { x: 0, y: 0 } }, ...inner, at('z', 540, 0)], connections: [{ source: 'i', target: 'k' }, { source: 'l', target: 'z' }] }
    const g = makeRoom(insertOn(before, { source: 'i', target: 'k' }, at('new', 140, 60, { parent_id: 'l' }), kinds), 'new', kinds)
    expect(overlaps(g, kinds)).toBe(false)
  })
})

describe('the layout', () => {
  it('leaves nothing over each other and goes from left to right', () => {
    const nodes = Array.from({ length: 60 }, (_, i) => ({ id: `n${i}`, kind: 'set', position: { x: 0, y: 0 } }))
    const connections = nodes.slice(1).map((n, i) => ({ source: `n${Math.floor(i / 2)}`, target: n.id }))
    const g = layout({ nodes, connections }, kinds)
    expect(overlaps(g, kinds)).toBe(false)
    for (const c of connections) {
      const x = (id: string) => g.nodes.find((n) => n.id === id)?.position?.x ?? 0
      expect(x(c.source)).toBeLessThan(x(c.target))
    }
  })
  it('makes groups as large as their inside', () => {
    const g = layout(
      {
        nodes: [{ id: 'l', kind: 'loop' }, { id: 'i', kind: 'set', parent_id: 'l' }, { id: 'k', kind: 'set', parent_id: 'l' }, { id: 'z', kind: 'set' }],
        connections: [{ source: 'i', target: 'k' }, { source: 'l', target: 'z' }],
      },
      kinds,
    )
    expect(overlaps(g, kinds)).toBe(false)
    expect(sizeOf(g, g.nodes[0] as never, kinds).width).toBe(20 + 184 + 72 + 184 + 20)
  })
  it('survives circles', () => {
    expect(layout({ nodes: [{ id: 'x', kind: 'set' }, { id: 'y', kind: 'set' }], connections: [{ source: 'x', target: 'y' }, { source: 'y', target: 'x' }] }, kinds).nodes).toHaveLength(2)
  })
})

describe('differences', () => {
  it('are told by node, whatever was moved', () => {
    const after = changeNode({ ...chain, nodes: chain.nodes.slice(1).map((n) => ({ ...n, position: { x: 9, y: 9 } })) }, 'b', { title: 'New' })
    expect([...diffNodes(chain, { ...after, nodes: [...after.nodes, { id: 'c', kind: 'set' }] })]).toEqual([
      ['b', 'changed'],
      ['c', 'added'],
      ['start', 'removed'],
    ])
  })
  it('are told by line', () => {
    expect(diffLines('a\nb\nc\nd', 'a\nx\nc\nd\ne').map((l) => l.kind[0] + l.text)).toEqual(['sa', 'rb', 'ax', 'sc', 'sd', 'ae'])
  })
})

it('a drawing moves to the left for a panel, as far as there is room', () => {
  const row = { x: 0, width: 600 }
  expect(roomAt(row, 200, 1, 700)).toBe(124) // its right edge is 24 pixels from the panel then
  expect(roomAt(row, 50, 1, 700)).toBe(0) // all of it is seen
  expect(roomAt(row, 200, 0.5, 700)).toBe(0)
  expect(roomAt({ x: 0, width: 2000 }, 60, 1, 700)).toBe(36) // its left edge stays
  expect(roomAt({ x: 0, width: 2000 }, -300, 1, 700)).toBe(0)
})
