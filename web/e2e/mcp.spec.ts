import { createServer } from 'node:http'
import { expect, Server, signIn, test as base, Caller } from './studio'

/** As little of an MCP server as has one tool. */
function weather() {
  const asked: unknown[] = []
  const http = createServer((inbound, outbound) => {
    let text = ''
    inbound.on('data', (chunk) => (text += String(chunk)))
    inbound.on('end', () => {
      if (inbound.method !== 'POST') return void outbound.writeHead(405).end()
      const m = JSON.parse(text) as { id?: number; method: string; params?: { protocolVersion?: string; arguments?: unknown } }
      if (m.id === undefined) return void outbound.writeHead(202).end()
      const results: Record<string, () => unknown> = {
        initialize: () => ({ protocolVersion: m.params?.protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 'weather', version: '1' } }),
        ping: () => ({}),
        'tools/list': () => ({
          tools: [
            {
              name: 'forecast',
              title: 'Forecast',
              description: 'What the weather will be.',
              inputSchema: { type: 'object', properties: { city: { type: 'string', title: 'City' }, days: { type: 'integer', title: 'Days', minimum: 1 } }, required: ['city', 'days'] },
            },
          ],
        }),
        'tools/call': () => {
          asked.push(m.params?.arguments)
          return { content: [{ type: 'text', text: 'Sunny, 21 °C' }] }
        },
      }
      const result = results[m.method]?.()
      outbound.setHeader('content-type', 'application/json')
      outbound.end(JSON.stringify({ jsonrpc: '2.0', id: m.id, ...(result ? { result } : { error: { code: -32601, message: 'unknown' } }) }))
    })
  })
  return { http, asked }
}

base('a tool of an MCP server is chosen from lists, its arguments filled into its own form, and it runs', async ({ page }) => {
  const { http, asked } = weather()
  await new Promise<void>((done) => http.listen(0, '127.0.0.1', done))
  const address = http.address()
  const port = typeof address === 'object' && address ? address.port : 0
  const server = new Server({ STUDIO_ALLOW_PRIVATE_NETWORKS: `127.0.0.1:${port}` })
  await server.start()
  try {
    await signIn(page, server, 'first@example.com')
    const token = await page.evaluate(async () => ((await (await fetch('/api/v1/auth/refresh', { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' })).json()) as { access_token: string }).access_token)
    const caller = new Caller(server.url, token)
    await caller.call('POST', '/mcp/servers', { name: 'weather', url: `http://127.0.0.1:${port}/mcp` })
    const w = await caller.call('POST', '/workflows', {
      name: 'Outlook',
      nodes: [
        { id: 'start', kind: 'manual-trigger', position: { x: 0, y: 0 } },
        { id: 'ask', kind: 'mcp-tool', config: {}, position: { x: 256, y: 0 } },
      ],
      connections: [{ source: 'start', target: 'ask' }],
    })
    await page.goto(`${server.url}/workflows/${w.id}`)
    await page.locator('.react-flow__node[data-id=ask]').click()
    await page.getByRole('combobox', { name: 'Server' }).selectOption('weather')
    await page.getByRole('combobox', { name: 'Tool', exact: false }).selectOption({ label: 'Forecast' })
    const form = page.getByRole('group', { name: 'Arguments' })
    await form.getByRole('combobox', { name: 'City' }).fill('Ghent')
    await form.getByRole('textbox', { name: 'Days' }).fill('3')
    await expect(page.getByText('Saved', { exact: true })).toBeVisible()
    const x = await caller.call('POST', '/executions', { workflow_id: w.id, wait: 20 })
    await page.goto(`${server.url}/executions/${x.id}`)
    await expect(page.getByRole('status').getByText('Completed')).toBeVisible()
    expect(asked).toEqual([{ city: 'Ghent', days: 3 }])
  } finally {
    await server.stop()
    http.close()
    http.closeAllConnections()
  }
})
