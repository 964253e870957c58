/** The console's map over a real hub and real agents: rows are seen to move, a killed agent is named, and the hub's restart is lived through. */
import { readFileSync } from 'node:fs'
import t from 'tap'
import { builtConsole } from '../console/built.ts'
import { flowing, makeLine, start } from '../faults/line.ts'
import { noBrowser, openBrowser } from '../support/browser.ts'
import { until } from '../support/programs.ts'
import { City, password } from '../support/registry.ts'

const types: Readonly<Record<string, string>> = { html: 'text/html', js: 'text/javascript', css: 'text/css', svg: 'image/svg+xml' }

t.test('an agent killed and started again, rows on their way, a hub that restarts', { skip: noBrowser }, async (t) => {
  const line = await makeLine(t, { rows: 300, hub: { access: { factor: [] } } })
  const { exchange, receiver, source, store } = line
  start(line)
  const city = await City.found(exchange.url, String((await exchange.office('first-admin'))['link']))
  await city.person('city', 'office', '工作人员', 'office')
  await flowing(line)

  // The console as these sources make it; all else is the hub's.
  const folder = await builtConsole()
  const context = await (await openBrowser(t)).newContext({ ignoreHTTPSErrors: true, locale: 'zh-CN' })
  await context.route(
    ({ pathname }) => !pathname.startsWith('/api/'),
    async (route) => {
      const { pathname } = new URL(route.request().url())
      const file = pathname.startsWith('/assets/') ? pathname.slice(1) : 'index.html'
      await route.fulfill({ body: readFileSync(folder + file), contentType: types[file.split('.').at(-1)!] ?? 'application/octet-stream' })
    },
  )
  const page = await context.newPage()
  page.setDefaultTimeout(60_000)
  await page.goto(`${exchange.url}/flows`)
  await page.fill('#login', 'office')
  await page.fill('#password', password)
  await page.click('[type=submit]')
  await page.waitForSelector('main .curve.flowing', { state: 'attached' })
  await page.evaluate('window.marked = true')
  await page.waitForSelector('main:not(:has(.curve.moving))')

  await source.query(`update villages set name = name || '村' where code in (select code from villages limit 17)`)
  await page.waitForSelector('main .curve.moving', { state: 'attached' })
  await page.waitForSelector('main:not(:has(.curve.moving))')
  t.pass('rows are seen to move, and then no more')

  const silent = async () => {
    await receiver.program.end('SIGKILL')
    await until('its line is held on the map', async () => {
      // As if it had been silent for nearly as long as an agent may be; what it told last may be written after it has ended.
      await store.query(
        `update agent set last_seen = now() - interval '63 seconds' where id = '${receiver.id}' and last_seen > now() - interval '63 seconds'`,
      )
      return (await page.locator('main .curve.held .cross').count()) > 0
    })
  }
  await silent()
  t.match(await page.locator('main .curve.held title').first().textContent(), /请启动civil-affairs的代理/, 'whose turn it is')
  receiver.program.start()
  await page.waitForSelector('main .curve.flowing', { state: 'attached' })

  await exchange.hub.end()
  exchange.hub.start()
  await exchange.ready()
  // Who is held again after that is seen only by a page that watches again.
  await flowing(line)
  await silent()
  t.equal(await page.evaluate('window.marked'), true, 'nothing was loaded anew')
})
