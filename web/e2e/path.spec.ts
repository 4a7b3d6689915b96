import { createServer, request } from 'node:http'
import { connect } from 'node:net'
import { enter, example, expect, Server, test } from './studio'

const under = '/tools/studio'

test('the studio works under a path, behind a proxy that takes it away', async ({ page }) => {
  let to = 0
  const proxy = createServer((inbound, outbound) => {
    if (!inbound.url?.startsWith(`${under}/`)) {
      outbound.writeHead(404).end()
      return
    }
    const onward = request({ host: '127.0.0.1', port: to, method: inbound.method, path: inbound.url.slice(under.length), headers: inbound.headers }, (answer) => {
      outbound.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(outbound)
    })
    // What a closing page still asks for may come when the server is gone: a proxy answers for it.
    onward.on('error', () => (outbound.headersSent ? outbound.destroy() : outbound.writeHead(502).end()))
    inbound.pipe(onward)
  })
  let sockets = 0
  proxy.on('upgrade', (inbound, socket) => {
    const onward = connect(to, '127.0.0.1', () => {
      const headers = Object.entries(inbound.headers).map(([k, v]) => `${k}: ${String(v)}`)
      onward.write([`GET ${inbound.url?.slice(under.length)} HTTP/1.1`, ...headers, '', ''].join('\r\n'))
      sockets++
      socket.pipe(onward).pipe(socket)
    })
    onward.on('error', () => socket.destroy())
    socket.on('error', () => onward.destroy())
  })
  await new Promise<void>((done) => proxy.listen(0, '127.0.0.1', done))
  const address = proxy.address()
  const url = `http://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}${under}`
  const server = new Server({ STUDIO_PUBLIC_URL: url })
  await server.start()
  to = Number(new URL(server.url).port)
  try {
    server.url = url
    await enter(page, server, 'path@example.com')
    await page.goto(`${url}/workflows`)
    await page.getByLabel('Import').setInputFiles({ name: 'digest.yaml', mimeType: 'application/yaml', buffer: Buffer.from(example('research-digest')) })
    await expect(page).toHaveURL(new RegExp(`${under}/workflows/[0-9a-f-]{36}$`))
    await expect(page.locator('.react-flow__node', { hasText: 'Writer' })).toBeVisible()
    // A reload signs in by the cookie, whose path is the studio's; the address is its own.
    await page.reload()
    await expect(page.locator('.react-flow__node', { hasText: 'Writer' })).toBeVisible()
    await expect.poll(() => sockets).toBeGreaterThan(0)
  } finally {
    await page.close()
    await server.stop()
    proxy.closeAllConnections()
    proxy.close()
  }
})
