import { enter, example, expect, signIn, test } from './studio'

test('a newcomer sees a template run to its end within a minute, looks into it, and runs it again', async ({ page, server, email }) => {
  const began = Date.now()
  await signIn(page, server, email)
  await expect(page.getByRole('heading', { name: 'See your first workflow run' })).toBeVisible()
  await page.getByRole('button', { name: 'Use template: Research digest' }).click()
  await page.getByLabel('Topic').fill('how bees decide')
  await page.getByRole('button', { name: 'Start', exact: true }).click()
  const run = page.getByRole('region', { name: 'Running' })
  await expect(run.getByText('Completed')).toBeVisible()
  expect(Date.now() - began).toBeLessThan(60_000)

  // Edit: the title of a node, saved by itself.
  await page.locator('.react-flow__node', { hasText: 'Writer' }).click()
  await page.getByRole('textbox', { name: 'Title' }).fill('Author')
  await expect(page.getByText('Saved', { exact: true })).toBeVisible()

  // Inspect.
  await page.getByRole('tab', { name: 'Last run' }).click()
  await expect(page.getByText('This digest was written by the offline demo model').first()).toBeVisible()
  await page.getByRole('tab', { name: /Trace/ }).click()
  await expect(page.getByRole('button', { name: /Model · default/ })).toBeVisible()
  await run.getByRole('link', { name: 'Open the execution' }).click()
  await expect(page.getByRole('table', { name: 'Timeline' })).toBeVisible()
  await page.getByRole('tab', { name: /Logs/ }).click()
  await expect(page.getByText('these results come from the built-in demo library')).toBeVisible()

  // Replay: at the first event nothing is done yet.
  await page.getByLabel('Replay').fill('1')
  await expect(page.getByText(/^1 of \d+ events$/)).toBeVisible()
  await page.getByRole('button', { name: 'To the end' }).click()

  // Retry.
  const first = page.url()
  await page.getByRole('button', { name: 'Run again', exact: true }).click()
  await page.getByRole('menuitem', { name: 'From the start' }).click()
  await expect(page).not.toHaveURL(first)
  await expect(page.getByRole('status').getByText('Completed')).toBeVisible()
  await page.getByRole('button', { name: 'Compare' }).click()
  await expect(page.getByRole('dialog').getByRole('row', { name: /Find sources/ })).toBeVisible()
})

test('an approval is answered from home', async ({ page, server, email, caller }) => {
  const w = await caller.call('POST', '/workflows', {
    name: 'Newsletter',
    nodes: [
      { id: 'start', kind: 'manual-trigger', position: { x: 0, y: 0 } },
      { id: 'ok', kind: 'approval', title: 'Chief editor', config: { message: 'May it go out?' }, position: { x: 256, y: 0 } },
      { id: 'sent', kind: 'log', config: { message: 'out it goes' }, position: { x: 512, y: 0 } },
    ],
    connections: [
      { source: 'start', target: 'ok' },
      { source: 'ok', source_handle: 'approved', target: 'sent' },
    ],
  })
  await enter(page, server, email)
  await page.goto(server.url)
  await expect(page.getByText('Nothing waits for you.')).toBeVisible()
  // It appears by itself, while one looks.
  const x = await caller.call('POST', '/executions', { workflow_id: w.id })
  await expect(page.getByText('May it go out?')).toBeVisible()
  await page.getByRole('button', { name: 'Approve' }).click()
  await expect(page.getByText('Nothing waits for you.')).toBeVisible()
  await page.goto(`${server.url}/executions/${x.id}`)
  await expect(page.getByRole('status').getByText('Completed')).toBeVisible()
})

test('of two browsers on one workflow the second to save is told, and loses nothing', async ({ page, browser, server, email, caller }) => {
  const w = await caller.call('POST', '/workflows/import', example('support-triage'), 'application/yaml')
  await enter(page, server, email)
  await page.goto(`${server.url}/workflows/${w.id}`)
  await expect(page.getByRole('textbox', { name: 'Name of the workflow' })).toHaveValue('Support triage')
  const other = await (await browser.newContext()).newPage()
  await enter(other, server, email)
  await other.goto(`${server.url}/workflows/${w.id}`)
  await expect(other.getByRole('textbox', { name: 'Name of the workflow' })).toHaveValue('Support triage')

  // The first cannot hear of the second's change in time: both are under way.
  await page.route('**/api/v1/workflows/*', async (route) => {
    if (route.request().method() === 'PUT') await expect.poll(() => saved).toBe(true)
    await route.continue()
  })
  let saved = false
  await page.getByRole('textbox', { name: 'Name of the workflow' }).fill('Mine')
  await other.getByRole('textbox', { name: 'Name of the workflow' }).fill('Theirs')
  await expect(other.getByText('Saved', { exact: true })).toBeVisible()
  await expect.poll(async () => (await caller.call<{ name: string }>('GET', `/workflows/${w.id}`)).name).toBe('Theirs')
  saved = true
  const conflict = page.getByRole('dialog', { name: 'Somebody else has saved this workflow' })
  await expect(conflict.getByRole('region', { name: 'Yours' }).getByText('Mine')).toBeVisible()
  await expect(conflict.getByRole('region', { name: 'Theirs' }).getByText('Theirs', { exact: true }).last()).toBeVisible()
  await conflict.getByRole('button', { name: 'Save mine over it' }).click()
  await expect.poll(async () => (await caller.call<{ name: string }>('GET', `/workflows/${w.id}`)).name).toBe('Mine')
  const versions = await caller.call<{ total: number }>('GET', `/workflows/${w.id}/versions`)
  expect(versions.total).toBe(3)
  // The other one, who has nothing unsaved, sees the newest by itself.
  await expect(other.getByRole('textbox', { name: 'Name of the workflow' })).toHaveValue('Mine')
  await other.context().close()
})

test('two who have a workflow open see each other come, point and go', async ({ page, browser, server, email, caller }) => {
  const w = await caller.call('POST', '/workflows/import', example('support-triage'), 'application/yaml')
  await enter(page, server, email)
  await page.goto(`${server.url}/workflows/${w.id}`)
  await expect(page.locator('.react-flow__node').first()).toBeVisible()
  const faces = page.getByRole('list', { name: 'Also here' })
  await expect(faces).toHaveCount(0)
  const other = await (await browser.newContext()).newPage()
  await enter(other, server, email)
  await other.goto(`${server.url}/workflows/${w.id}`)
  await expect(faces.getByRole('listitem')).toHaveCount(1)
  await expect(other.getByRole('list', { name: 'Also here' }).getByRole('listitem')).toHaveCount(1)
  // The same place on both canvases, whatever each looks at.
  const card = (p: typeof page) => p.locator('.react-flow__node').nth(1)
  await card(other).hover()
  await expect(page.locator('.peer-cursor')).toBeVisible()
  await expect
    .poll(async () => {
      const [cursor, node] = [await page.locator('.peer-cursor').boundingBox(), await card(page).boundingBox()]
      return !!cursor && !!node && cursor.x >= node.x && cursor.x <= node.x + node.width && cursor.y >= node.y && cursor.y <= node.y + node.height
    })
    .toBe(true)
  if (process.env['PICTURES']) await page.screenshot({ path: `${process.env['PICTURES']}/together.png` })
  await other.context().close()
  await expect(faces).toHaveCount(0)
})

test('a run that is watched while the server is killed shows every event once', async ({ page, server, email, caller }) => {
  const steps = Array.from({ length: 6 }, (_, i) => i)
  const w = await caller.call('POST', '/workflows', {
    name: 'Long',
    nodes: [
      { id: 'start', kind: 'manual-trigger', position: { x: 0, y: 0 } },
      ...steps.flatMap((i) => [
        { id: `log${i}`, kind: 'log', config: { message: `line ${i}` }, position: { x: 256 * (2 * i + 1), y: 0 } },
        { id: `wait${i}`, kind: 'wait', config: { seconds: 1 }, position: { x: 256 * (2 * i + 2), y: 0 } },
      ]),
    ],
    connections: steps.flatMap((i) => [
      { source: i ? `wait${i - 1}` : 'start', target: `log${i}` },
      { source: `log${i}`, target: `wait${i}` },
    ]),
  })
  await enter(page, server, email)
  const x = await caller.call('POST', '/executions', { workflow_id: w.id })
  await page.goto(`${server.url}/executions/${x.id}`)
  await page.getByRole('tab', { name: /Logs/ }).click()
  await expect(page.getByText('line 1')).toBeVisible()
  await server.kill()
  await expect(page.getByText('Reconnecting to the server…')).toBeVisible()
  await server.start()
  await expect(page.getByRole('status').getByText('Completed')).toBeVisible({ timeout: 45_000 })
  await expect(page.getByText('Reconnecting to the server…')).toBeHidden()
  const lines = await page.getByRole('log').getByText(/^line \d$/).allTextContents()
  expect(lines).toEqual(steps.map((i) => `line ${i}`))
  const { items } = await caller.call<{ items: unknown[] }>('GET', `/executions/${x.id}/logs?limit=100`)
  expect(items).toHaveLength(lines.length)
})

test('a workflow of three nodes is built and run with the keyboard alone', async ({ page, server, email }) => {
  await enter(page, server, email)
  await page.goto(server.url)
  await expect(page.getByRole('navigation', { name: 'Pages' })).toBeVisible()
  const keys = page.keyboard
  await keys.press('g')
  await keys.press('w')
  await expect(page.getByRole('heading', { name: 'Workflows', exact: true })).toBeVisible()
  await keys.press('n')
  await expect(page.getByRole('textbox', { name: 'Name of the workflow' })).toBeVisible()
  for (const kind of ['Set', 'Log']) {
    if (kind === 'Set') await keys.press('j') // the start, chosen
    await keys.press('a')
    await expect(page.getByRole('combobox', { name: 'Search nodes' })).toBeFocused()
    await keys.type(kind)
    await keys.press('Enter')
    await expect(page.getByRole('complementary', { name: kind, exact: true })).toBeVisible()
  }
  await keys.press('e')
  await expect(page.getByLabel('Message')).toBeFocused()
  await keys.type('done by hand')
  await expect(page.getByText('Saved', { exact: true })).toBeVisible()
  await expect(page.getByText('No problems')).toBeVisible()
  await keys.press('ControlOrMeta+Enter')
  await expect(page.getByRole('dialog', { name: 'Run this workflow' })).toBeVisible()
  // The data is empty as it should be: from its field to Start.
  const start = page.getByRole('button', { name: 'Start', exact: true })
  for (let i = 0; i < 8 && !(await start.evaluate((e) => e === document.activeElement)); i++) await keys.press('Tab')
  await keys.press('Enter')
  const run = page.getByRole('region', { name: 'Running' })
  await expect(run.getByText('Completed')).toBeVisible()
  await expect(run.getByText('3/3')).toBeVisible()
})

test('what is done can be undone, copied and deleted with a way back', async ({ page, server, email, caller }) => {
  const w = await caller.call('POST', '/workflows/import', example('code-review'), 'application/yaml')
  await enter(page, server, email)
  await page.goto(`${server.url}/workflows/${w.id}`)
  const nodes = page.locator('.react-flow__node')
  await expect(nodes).toHaveCount(6)
  await page.keyboard.press('ControlOrMeta+a')
  await page.keyboard.press('ControlOrMeta+c')
  await page.keyboard.press('ControlOrMeta+v')
  await expect(nodes).toHaveCount(12)
  await page.keyboard.press('Delete')
  await expect(nodes).toHaveCount(6)
  await page.keyboard.press('ControlOrMeta+z')
  await expect(nodes).toHaveCount(12)
  await page.keyboard.press('ControlOrMeta+z')
  await expect(nodes).toHaveCount(6)
  await page.keyboard.press('ControlOrMeta+Shift+z')
  await expect(nodes).toHaveCount(12)

  await page.goto(`${server.url}/workflows`)
  await page.getByRole('button', { name: 'More actions for Code review' }).click()
  await page.getByRole('menuitem', { name: 'Delete' }).click()
  await expect(page.getByRole('link', { name: 'Code review' })).toBeHidden()
  await page.getByRole('button', { name: 'Undo' }).click()
  await expect(page.getByRole('link', { name: 'Code review' })).toBeVisible()
})

test('an older version is compared with, and comes back', async ({ page, server, email, caller }) => {
  const w = await caller.call<{ id: string; nodes: object[]; connections: object[] }>('POST', '/workflows', { name: 'Versions', nodes: [{ id: 'start', kind: 'manual-trigger', position: { x: 0, y: 0 } }], connections: [] })
  await caller.call('PUT', `/workflows/${w.id}`, { nodes: [{ id: 'start', kind: 'manual-trigger', position: { x: 0, y: 0 } }, { id: 'added', kind: 'set', title: 'Added', position: { x: 256, y: 0 } }], connections: [{ source: 'start', target: 'added' }] })
  await enter(page, server, email)
  await page.goto(`${server.url}/workflows/${w.id}`)
  await page.getByRole('button', { name: 'Versions' }).click()
  await page.getByRole('button', { name: /^Version 1/ }).click()
  await expect(page.locator('.react-flow__node', { hasText: 'Added' }).getByText('New')).toBeVisible()
  await page.getByRole('button', { name: 'Restore this version' }).click()
  await expect(page.locator('.react-flow__node')).toHaveCount(1)
  await expect(page.getByText('Saved', { exact: true })).toBeVisible()
  await page.getByRole('button', { name: 'Publish' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Publish' }).click()
  await expect(page.getByText('Published', { exact: true })).toBeVisible()
})

test('a kind is dragged from the palette onto the canvas, into a loop and onto a connection', async ({ page, server, email, caller }) => {
  const w = await caller.call('POST', '/workflows', {
    name: 'Dragged',
    nodes: [
      { id: 'start', kind: 'manual-trigger', position: { x: 0, y: 0 } },
      { id: 'each', kind: 'loop', config: { mode: 'times', times: 2 }, position: { x: 320, y: 0 } },
    ],
    connections: [{ source: 'start', target: 'each' }],
  })
  await enter(page, server, email)
  await page.goto(`${server.url}/workflows/${w.id}`)
  const palette = page.getByRole('region', { name: 'Nodes', exact: true })
  const find = palette.getByRole('combobox', { name: 'Find a kind of node' })
  const kind = (title: string) => palette.getByRole('option').filter({ has: page.getByText(title, { exact: true }) })
  const saved = () => caller.call<{ nodes: { id: string; kind: string; parent_id?: string }[]; connections: { source: string; target: string }[] }>('GET', `/workflows/${w.id}`)

  await kind('Set').dragTo(page.locator('.react-flow__pane'), { targetPosition: { x: 120, y: 120 } })
  await expect.poll(async () => (await saved()).nodes.filter((n) => n.kind === 'set' && !n.parent_id).length).toBe(1)

  await find.fill('log')
  await kind('Log').dragTo(page.locator('.react-flow__node[data-id="each"]'), { targetPosition: { x: 100, y: 80 } })
  await expect.poll(async () => (await saved()).nodes.find((n) => n.id === 'log')?.parent_id).toBe('each')

  await find.fill('filter')
  await kind('Filter').dragTo(page.getByRole('button', { name: 'Insert a node between start and each' }))
  await expect.poll(async () => (await saved()).connections.map((c) => `${c.source}>${c.target}`)).toEqual(['start>filter', 'filter>each'])

  // It stays as it is left.
  await palette.getByRole('button', { name: 'Hide the nodes' }).click()
  await page.reload()
  await expect(palette.getByRole('button', { name: 'Show the nodes' })).toBeVisible()
  await expect(find).toBeHidden()
})

test('an agent gets models to fall back on, in an order of choice', async ({ page, server, email, caller }) => {
  const w = await caller.call('POST', '/workflows', { name: 'Models', nodes: [{ id: 'agent', kind: 'agent', title: 'Thinker', config: { prompt: 'think' }, position: { x: 0, y: 0 } }], connections: [] })
  const models = (await caller.call<{ items: { id: string; title: string; demo: boolean; price: { input: number | null } | null }[] }>('GET', '/models')).items.filter((m) => !m.demo)
  const priced = models.find((m) => typeof m.price?.input === 'number')
  const other = models.find((m) => m !== priced)
  if (!priced || !other) throw new Error('the list of models is too short')
  const kept = async () => (await caller.call<{ nodes: { config: { model?: unknown } }[] }>('GET', `/workflows/${w.id}`)).nodes[0]?.config.model
  await enter(page, server, email)
  await page.goto(`${server.url}/workflows/${w.id}`)
  await page.locator('.react-flow__node').click()
  await page.getByLabel('Model', { exact: true }).selectOption(priced.id)
  await expect(page.getByText(/^\$[\d.]+ in, .* per million tokens · (no )?tools · (no )?images$/)).toBeVisible()
  const add = page.getByLabel('Add a model to fall back on')
  await add.selectOption(other.id)
  await expect.poll(kept).toEqual([priced.id, other.id])
  await page.getByRole('button', { name: `Ask ${other.title} sooner` }).click()
  await expect.poll(kept).toEqual([other.id, priced.id])
  await page.getByRole('button', { name: `Remove ${other.title}` }).click()
  await expect.poll(kept).toBe(priced.id)
})

test('an agent gets tools from the catalogue, and one of an MCP server by name', async ({ page, server, email, caller }) => {
  const w = await caller.call('POST', '/workflows', { name: 'Tools', nodes: [{ id: 'agent', kind: 'agent', title: 'Thinker', config: { prompt: 'think' }, position: { x: 0, y: 0 } }], connections: [] })
  const kept = async () => (await caller.call<{ nodes: { config: { tools?: unknown } }[] }>('GET', `/workflows/${w.id}`)).nodes[0]?.config.tools
  await enter(page, server, email)
  await page.goto(`${server.url}/workflows/${w.id}`)
  await page.locator('.react-flow__node').click()
  await page.getByRole('checkbox', { name: 'Calculator' }).check()
  await expect.poll(kept).toEqual(['calculator'])
  await page.getByLabel('Add a tool by its name').fill('mcp/notes/search')
  await page.getByLabel('Add a tool by its name').press('Enter')
  await expect.poll(kept).toEqual(['calculator', 'mcp/notes/search'])
  if (process.env['PICTURES']) await page.screenshot({ path: `${process.env['PICTURES']}/tools.png` })
  await page.getByRole('button', { name: 'Remove mcp/notes/search' }).click()
  await page.getByRole('checkbox', { name: 'Calculator' }).uncheck()
  await expect.poll(kept).toBeUndefined()
})

test('an output is pinned, and the run goes on from a node', async ({ page, server, email, caller }) => {
  const w = await caller.call('POST', '/workflows', {
    name: 'Pinned',
    nodes: [
      { id: 'start', kind: 'manual-trigger', position: { x: 0, y: 0 } },
      { id: 'first', kind: 'set', title: 'First', config: { values: { word: 'kept' } }, position: { x: 256, y: 0 } },
      { id: 'second', kind: 'log', title: 'Second', config: { message: '{{ nodes.first.output.word }}' }, position: { x: 512, y: 0 } },
    ],
    connections: [
      { source: 'start', target: 'first' },
      { source: 'first', target: 'second' },
    ],
  })
  await caller.call('POST', '/executions', { workflow_id: w.id, wait: 20 })
  await enter(page, server, email)
  await page.goto(`${server.url}/workflows/${w.id}`)
  await page.locator('.react-flow__node[data-id="first"]').click()
  await page.getByRole('tab', { name: 'Last run' }).click()
  await page.getByRole('button', { name: /^Pin this output/ }).click()
  await expect(page.getByRole('img', { name: 'Output is pinned' })).toBeVisible()
  await expect.poll(async () => (await caller.call<{ nodes: { id: string; pinned_output?: unknown }[] }>('GET', `/workflows/${w.id}`)).nodes.find((n) => n.id === 'first')?.pinned_output).toMatchObject({ word: 'kept' })

  await page.locator('.react-flow__node[data-id="second"]').click()
  await page.getByRole('tab', { name: 'Last run' }).click()
  await page.getByRole('button', { name: 'Run again from here' }).click()
  await expect(page.getByRole('region', { name: 'Running' }).getByText('Completed')).toBeVisible()
  await expect.poll(async () => (await caller.call<{ total: number }>('GET', `/executions?workflow_id=${w.id}`)).total).toBe(2)
})

test('a node is tried out alone, though what comes after it is not finished', async ({ page, server, email, caller }) => {
  const w = await caller.call('POST', '/workflows', {
    name: 'Half done',
    nodes: [
      { id: 'start', kind: 'manual-trigger', position: { x: 0, y: 0 } },
      { id: 'first', kind: 'set', title: 'First', config: { values: { word: '{{ trigger.word }}' } }, position: { x: 256, y: 0 } },
      { id: 'second', kind: 'set', title: 'Second', config: { values: { said: '{{ nodes.first.output.word }}!' } }, position: { x: 512, y: 0 } },
      { id: 'third', kind: 'http-request', title: 'Third', position: { x: 768, y: 0 } },
    ],
    connections: [
      { source: 'start', target: 'first' },
      { source: 'first', target: 'second' },
      { source: 'second', target: 'third' },
    ],
  })
  await enter(page, server, email)
  await page.goto(`${server.url}/workflows/${w.id}`)
  await page.locator('.react-flow__node[data-id="second"]').click()
  await page.getByRole('button', { name: 'Test this node' }).click()
  const dialog = page.getByRole('dialog', { name: 'Run up to “Second”' })
  await dialog.getByRole('textbox').fill('{"word": "hear"}')
  await dialog.getByRole('button', { name: 'Start' }).click()
  await expect(page.getByRole('region', { name: 'Running' }).getByText('Completed')).toBeVisible()
  await expect(page.getByRole('group', { name: 'Output' }).getByText('hear!')).toBeVisible()

  // From now on alone, on the data of the last run, with the changed settings.
  await page.getByRole('button', { name: 'Test this node' }).click()
  await expect.poll(async () => (await caller.call<{ items: { id: string }[]; total: number }>('GET', `/executions?workflow_id=${w.id}`)).total).toBe(2)
  const list = await caller.call<{ items: { id: string }[] }>('GET', `/executions?workflow_id=${w.id}`)
  await expect.poll(async () => caller.call<{ status: string; lineage: { reused: string[]; until: string } }>('GET', `/executions/${list.items[0]?.id}`)).toMatchObject({ status: 'completed', lineage: { reused: ['start', 'first'], until: 'second' } })
})

test('a run is paused, goes on, and is cancelled', async ({ page, server, email, caller }) => {
  const w = await caller.call('POST', '/workflows', {
    name: 'Slow',
    nodes: [
      { id: 'start', kind: 'manual-trigger', position: { x: 0, y: 0 } },
      { id: 'wait', kind: 'wait', config: { seconds: 600 }, position: { x: 256, y: 0 } },
    ],
    connections: [{ source: 'start', target: 'wait' }],
  })
  const x = await caller.call('POST', '/executions', { workflow_id: w.id })
  await enter(page, server, email)
  await page.goto(`${server.url}/executions/${x.id}`)
  const status = async () => (await caller.call<{ status: string }>('GET', `/executions/${x.id}`)).status
  await page.getByRole('button', { name: 'Pause' }).click()
  await page.getByRole('button', { name: 'Go on' }).click()
  await expect(page.getByRole('button', { name: 'Pause' })).toBeVisible()
  expect(await status()).not.toBe('paused')
  await page.getByRole('button', { name: 'Cancel', exact: true }).click()
  await expect(page.getByRole('status').getByText('Cancelled')).toBeVisible()
  expect(await status()).toBe('cancelled')
})

test('an API key is made, shown once, and deleted', async ({ page, server, email }) => {
  await enter(page, server, email)
  await page.goto(`${server.url}/settings`)
  await page.getByRole('button', { name: 'New API key' }).click()
  await page.getByLabel('Name', { exact: true }).fill('nightly script')
  await page.getByRole('button', { name: 'Make the key' }).click()
  const key = await page.getByRole('textbox', { name: 'Your new key' }).inputValue()
  const ask = async () => (await fetch(`${server.url}/api/v1/workflows`, { headers: { authorization: `Bearer ${key}` } })).status
  expect(await ask()).toBe(200)
  await page.getByRole('button', { name: 'I have copied it' }).click()
  await page.getByRole('button', { name: 'Delete the key nightly script' }).click()
  await expect(page.getByText('No API keys')).toBeVisible()
  expect(await ask()).toBe(401)
})

test('a workflow file that is dropped onto the list opens', async ({ page, server, email }) => {
  await enter(page, server, email)
  await page.goto(`${server.url}/workflows`)
  await expect(page.getByRole('heading', { name: 'Workflows', exact: true })).toBeVisible()
  const data = await page.evaluateHandle((text) => {
    const d = new DataTransfer()
    d.items.add(new File([text], 'triage.yaml', { type: 'application/yaml' }))
    return d
  }, example('support-triage'))
  const list = page.locator('.workflows')
  await list.dispatchEvent('dragover', { dataTransfer: data })
  await expect(page.getByText('Drop a workflow file here')).toBeVisible()
  await list.dispatchEvent('drop', { dataTransfer: data })
  await expect(page.getByRole('textbox', { name: 'Name of the workflow' })).toHaveValue('Support triage')
})
