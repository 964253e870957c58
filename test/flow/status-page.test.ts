/** The status page and the morning line of agents that run, in a real browser and at a real hub. */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { AxeResults } from 'axe-core'
import type { Page } from 'playwright-core'
import t from 'tap'
import type { AgentStatus } from '../../agent/status/agent-status.ts'
import { flowing, makeLine, start } from '../faults/line.ts'
import { noBrowser, openBrowser } from '../support/browser.ts'
import { until } from '../support/programs.ts'
import { freePort } from '../support/server.ts'

const axe = readFileSync(fileURLToPath(import.meta.resolve('axe-core/axe.min.js')), 'utf8')

/** What a checker of accessibility (WCAG 2.2 A and AA) finds. */
async function violations(page: Page): Promise<string[]> {
  await page.evaluate(axe)
  const run = `axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] })`
  const results = (await page.evaluate(run)) as AxeResults
  return results.violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`)
}

t.test('the page of a running agent', { skip: noBrowser }, async (t) => {
  const port = await freePort()
  const line = await makeLine(t, {
    rows: 300,
    hub: { supervision: { everySeconds: 2 } },
    provider: { settings: { page: { port }, morning: '00:00' } },
  })
  start(line)
  await flowing(line)
  const browser = await openBrowser(t)
  const page = await browser.newPage()
  const asked = new Set<string>()
  const faults: string[] = []
  page.on('request', (request) => asked.add(new URL(request.url()).origin))
  page.on('console', (message) => message.type() === 'error' && faults.push(message.text()))
  page.on('pageerror', (error) => faults.push(error.message))
  await page.goto(`http://127.0.0.1:${port}/`)
  const row = page.locator('#sources + div tbody tr').first()
  t.match(await row.innerText(), /villages · front\s+正常/)

  // Everybody can read it: by ear, by keyboard, enlarged, in the dark, in either language.
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme })
    t.same(await violations(page), [], colorScheme)
  }
  await page.setViewportSize({ width: 640, height: 400 })
  t.ok(await page.evaluate('document.documentElement.scrollWidth <= innerWidth'), 'enlarged to 200% only tables scroll sideways')
  await page.setViewportSize({ width: 1280, height: 800 })
  const fits = `[...document.querySelectorAll('.wide')].every((table) => table.scrollWidth <= table.clientWidth)`
  t.ok(await page.evaluate(fits), 'at 1280 not even those')

  // What changes is changed in place: neither page nor focus is lost.
  await page.evaluate('window.sameAsBefore = true')
  await page.locator('#sources + div').focus()
  await line.source.query(`update villages set name = name || '村' where code in (select code from villages limit 17)`)
  await page.getByText('317').waitFor()
  t.equal(await page.evaluate('window.sameAsBefore'), true)
  t.equal(await page.evaluate(`document.activeElement.matches('#sources + div')`), true)
  await page.getByRole('link', { name: 'English' }).focus()
  await page.keyboard.press('Enter')
  await page.waitForURL(/lang=en/)
  t.equal(await page.evaluate('document.documentElement.lang'), 'en')
  t.match(await row.innerText(), /flowing/)
  t.same(await violations(page), [], 'English')

  // A fault shows with its remedy, and that it is over.
  await line.links.source.close()
  await page.getByText(/QZ-DB-UNREACHABLE.*Remedy: for the operator of this machine: see that the database runs/).waitFor()
  t.match(await page.title(), /\(1 held\)/)
  t.same(await violations(page), [], 'held')

  // The agent's morning line reaches the hub.
  const day = await until('the hub shows the morning line', async () => {
    const answer = (await line.exchange.office('agent', 'list')) as unknown as { id: string; morning: { day: string } | null }[]
    return answer.find(({ id }) => id === line.provider.id)?.morning?.day
  })
  t.match(day, /^\d{4}-\d{2}-\d{2}$/)
  t.match(readFileSync(line.exchange.hub.log, 'utf8'), /morning line of an agent/)
  const status = (await line.provider.report()) as AgentStatus
  t.match(status, { lastMorning: { day, sources: { all: 1 } }, hub: { answered: String }, policy: { valid: true }, disk: { free: Number } })

  t.same([...asked], [`http://127.0.0.1:${port}`], 'nobody else is asked')
  t.same(faults, [])
  await line.provider.program.end()
  await page.getByText('The agent does not answer').waitFor()
  await line.provider.program.end()
})
