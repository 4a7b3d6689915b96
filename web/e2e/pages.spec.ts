import AxeBuilder from '@axe-core/playwright'
import type { Page } from '@playwright/test'
import { enter, example, expect, test, type Caller, type Server } from './studio'

/** A workspace with something of everything in it. */
async function furnish(caller: Caller): Promise<{ workflow: string; run: string; waiting: string }> {
  const ids = new Map<string, string>()
  for (const name of ['code-review', 'invoice-extraction', 'nightly-report', 'support-triage', 'research-digest']) ids.set(name, (await caller.call('POST', '/workflows/import', example(name), 'application/yaml')).id)
  const workflow = ids.get('research-digest') ?? ''
  await caller.call('POST', '/executions', { workflow_id: workflow, trigger_data: { topic: 'why bicycles stay upright' }, wait: 20 })
  const run = await caller.call('POST', '/executions', { workflow_id: workflow, trigger_data: { topic: 'how bees decide' }, wait: 20 })
  const broken = await caller.call('POST', '/workflows', {
    name: 'Monthly ledger',
    tags: ['finance'],
    nodes: [
      { id: 'start', kind: 'manual-trigger', title: 'Start', position: { x: 0, y: 0 } },
      { id: 'stop', kind: 'stop', title: 'Check the ledger', config: { status: 'failed', message: 'The ledger of March is missing' }, position: { x: 256, y: 0 } },
    ],
    connections: [{ source: 'start', target: 'stop' }],
  })
  await caller.call('POST', '/executions', { workflow_id: broken.id, wait: 10 })
  const ask = await caller.call('POST', '/workflows', {
    name: 'Publish newsletter',
    tags: ['marketing'],
    nodes: [
      { id: 'start', kind: 'manual-trigger', title: 'Start', position: { x: 0, y: 0 } },
      { id: 'ok', kind: 'approval', title: 'Chief editor', config: { message: 'May the newsletter of this week go out to 4,200 readers?' }, position: { x: 256, y: 0 } },
      { id: 'send', kind: 'log', title: 'Send it', config: { message: 'sent' }, position: { x: 512, y: 0 } },
    ],
    connections: [
      { source: 'start', target: 'ok' },
      { source: 'ok', source_handle: 'approved', target: 'send' },
    ],
  })
  const waiting = await caller.call('POST', '/executions', { workflow_id: ask.id, wait: 1 })
  return { workflow, run: run.id, waiting: waiting.id }
}

/** Every page with something to see, by the name of its picture. */
function visits(server: Server, home: { workflow: string; run: string; waiting: string }): [string, (page: Page) => Promise<void>][] {
  const at = (path: string, ready: (page: Page) => Promise<void>) => async (page: Page) => {
    await page.goto(server.url + path)
    await ready(page)
  }
  const heading = (name: string) => (page: Page) => expect(page.getByRole('heading', { name, exact: true })).toBeVisible()
  return [
    ['home', at('/', async (page) => expect(page.getByText('May the newsletter of this week')).toBeVisible())],
    ['workflows', at('/workflows', async (page) => expect(page.getByRole('link', { name: 'Monthly ledger' })).toBeVisible())],
    ['executions', at('/executions', async (page) => expect(page.getByText('The ledger of March is missing')).toBeVisible())],
    [
      'editor',
      at(`/workflows/${home.workflow}`, async (page) => {
        await page.locator('.react-flow__node', { hasText: 'Writer' }).click()
        await expect(page.getByLabel('System prompt')).toBeVisible()
        await expect(page.getByText('Write a digest on: how bees decide')).toBeVisible()
      }),
    ],
    ['execution', at(`/executions/${home.run}`, async (page) => expect(page.getByRole('table', { name: 'Timeline' })).toBeVisible())],
    ['approval', at(`/executions/${home.waiting}`, async (page) => expect(page.getByRole('button', { name: 'Approve' })).toBeVisible())],
    ['settings', at('/settings', heading('Settings'))],
  ]
}

async function faults(page: Page): Promise<string[]> {
  const { violations } = await new AxeBuilder({ page }).analyze()
  return violations.filter((v) => v.impact === 'serious' || v.impact === 'critical').map((v) => `${v.id}: ${v.nodes.slice(0, 3).map((n) => `${n.target.join(' ')} ${n.any[0]?.message ?? ''}`).join(' | ')}`)
}

const pictures = process.env['PICTURES']

for (const theme of ['light', 'dark'] as const) {
  test.describe(theme, () => {
    test.use({ colorScheme: theme, reducedMotion: 'reduce' })

    test(`no page has a serious fault of accessibility, ${theme}`, async ({ page, server, email, caller }) => {
      test.setTimeout(120_000)
      await page.goto(server.url)
      await expect(page.getByLabel('E-mail address')).toBeVisible()
      await page.evaluate(() => document.fonts.ready)
      expect(await faults(page), 'sign-in').toEqual([])
      if (pictures) await page.screenshot({ path: `${pictures}/sign-in-${theme}.png` })
      const home = await furnish(caller)
      await enter(page, server, email)
      for (const [name, visit] of visits(server, home)) {
        await visit(page)
        expect(await faults(page), name).toEqual([])
        if (pictures) {
          await page.mouse.move(0, 0)
          await page.screenshot({ path: `${pictures}/${name}-${theme}.png` })
        }
      }
      await page.keyboard.press('ControlOrMeta+k')
      await expect(page.getByRole('combobox', { name: 'Find a page, a workflow or an action' })).toBeFocused()
      expect(await faults(page), 'palette').toEqual([])
      await page.keyboard.press('Escape')
      await page.keyboard.press('?')
      await expect(page.getByRole('dialog', { name: 'Keyboard shortcuts' })).toBeVisible()
      expect(await faults(page), 'keys').toEqual([])
    })
  })
}

test('the first script is small, and nothing is asked of other servers', async ({ page, server }) => {
  const hosts = new Set<string>()
  const refused: string[] = []
  page.on('request', (r) => hosts.add(new URL(r.url()).host))
  page.on('console', (m) => m.text().includes('Content Security Policy') && refused.push(m.text()))
  await page.goto(server.url)
  await expect(page.getByLabel('E-mail address')).toBeVisible()
  const size = await page.evaluate(() => performance.getEntriesByType('resource').filter((e) => e.name.endsWith('.js')).reduce((sum, e) => sum + (e as PerformanceResourceTiming).encodedBodySize, 0))
  expect(size).toBeLessThan(250 * 1024)
  expect([...hosts]).toEqual([new URL(server.url).host])
  expect(refused).toEqual([])
})

test('a log of thousands of lines is whole, and scrolls', async ({ page, server, email, caller }) => {
  test.setTimeout(120_000)
  const w = await caller.call('POST', '/workflows', {
    name: 'Chatty',
    nodes: [
      { id: 'start', kind: 'manual-trigger', position: { x: 0, y: 0 } },
      { id: 'times', kind: 'loop', config: { items: '{{ 1..20 }}', parallel: 1 }, position: { x: 256, y: 0 } },
      { id: 'each', kind: 'loop', parent_id: 'times', config: { items: '{{ 1..500 }}', parallel: 50 }, position: { x: 20, y: 60 } },
      { id: 'say', kind: 'log', parent_id: 'each', config: { message: 'line {{ item }}' }, position: { x: 20, y: 60 } },
      { id: 'pause', kind: 'wait', parent_id: 'times', config: { seconds: 0.1 }, position: { x: 400, y: 60 } },
    ],
    connections: [
      { source: 'start', target: 'times' },
      { source: 'each', target: 'pause' },
    ],
  })
  await enter(page, server, email)
  const x = await caller.call('POST', '/executions', { workflow_id: w.id })
  await page.goto(`${server.url}/executions/${x.id}`)
  await expect(page.getByRole('status').getByText('Completed')).toBeVisible({ timeout: 90_000 })
  await page.getByRole('tab', { name: /Logs/ }).click()
  // Of lines that come faster than they are written, the engine keeps a thousand at a time: these come slower.
  const kept = (await caller.stream(`/executions/${x.id}/logs`)).match(/^data:/gm)?.length ?? 0
  expect(kept).toBe(10_000)
  await expect(page.getByText(`${kept.toLocaleString('en-US')} lines`)).toBeVisible()
  const log = page.getByRole('log')
  expect(await log.locator('.log-line').count()).toBeLessThan(120)
  const first = await log.locator('.log-line').first().textContent()
  await log.evaluate((e) => e.scrollTo(0, 0))
  await expect(log.locator('.log-line').first()).not.toHaveText(first ?? '')
  // From the end back to the beginning in steps: what is drawn never grows.
  for (let i = 0; i < 10; i++) {
    await log.evaluate((e, part) => e.scrollTo(0, e.scrollHeight * part), i / 10)
    expect(await log.locator('.log-line').count()).toBeLessThan(120)
  }
})
