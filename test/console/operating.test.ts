/** Operating in the browser: a line turns held while its page is open, rows are seen to move, an agent is looked after. */
import pino from 'pino'
import t, { type Test } from 'tap'
import { addGrant } from '../../hub/registry/grants/grants.ts'
import { addRoute } from '../../hub/registry/grants/routes.ts'
import { silentAfter } from '../../hub/lines/judges.ts'
import { WakeupRelay } from '../../hub/store/wakeups.ts'
import { sha256 } from '../../protocol/signature.ts'
import { receiptFor } from '../hub/exchange/fixture.ts'
import { publishResource } from '../../hub/registry/publishing/direct-publishing.ts'
import { enrolled, villages } from '../hub/office.ts'
import { noBrowser } from '../support/browser.ts'
import { until } from '../support/programs.ts'
import { barriers, openConsole, settled, type Console } from './fixture.ts'

const hash = sha256('batch')

interface Scene {
  console: Console
  route: string
  grant: string
  civil: { id: string }
  water: Awaited<ReturnType<typeof enrolled>>
  /** Both agents tell that all is well, now. */
  report: (more?: { source?: object; sink?: object }) => Promise<void>
}

/** A route from civil to water, over which all has come. */
async function openScene(test: Test): Promise<Scene> {
  const console = await openConsole(test)
  const { city } = console
  const { query } = city.store
  const relay = new WakeupRelay(city.url, city.wakeups, pino({ level: 'silent' }))
  await relay.start({ send: false })
  test.teardown(() => relay.close())
  await publishResource(city, 'admin', { schema: villages() })
  const [civil, water] = [await enrolled(city, 'civil'), await enrolled(city, 'water')]
  const grant = await addGrant(city, 'admin', { resource: 'villages', agency: 'water', items: ['name'] })
  const { id: route } = await addRoute(city, 'admin', grant.id, water.id)
  await query(`insert into stream (resource, producer, last_push) values ('villages', $1, $2)`, [civil.id, city.now])
  await query(`insert into log_stream (resource, epoch, seq, hash, receipt, total) values ('villages', 10, 1, $1, 'r', 1)`, [hash])
  await query(`update route set epoch = 10, seq = 1, hash = $1, receipt = 'x'`, [hash])
  const line = { database: 'main', state: 'flowing', position: null, rows: 0, quarantine: 0 }
  const report = async ({ source = {}, sink = {} } = {}) => {
    const about = { version: '1.2.3', session: 's', clockOffset: 12 }
    const sources = [{ resource: 'villages', waiting: 0, ...line, ...source }]
    const sinks = [{ route, resource: 'villages', table: 'villages', reached: city.now.toISOString(), ...line, ...sink }]
    const write = 'update agent set report = $2, last_seen = $3 where id = $1'
    await query(write, [civil.id, JSON.stringify({ ...about, sources, sinks: [] }), city.now])
    await query(write, [water.id, JSON.stringify({ ...about, sources: [], sinks }), city.now])
  }
  await report()
  return { console, route, grant: grant.id, civil, water, report }
}

t.test('a receiver’s agent falls silent: its line turns held on the open page, and on the map', { skip: noBrowser }, async (t) => {
  const { console, civil, report } = await openScene(t)
  const { city, origin } = console
  const office = await console.open('city', 'office')
  const user = await console.open('water', 'user', { language: 'en', dark: true })
  await office.page.goto(`${origin}/lines`)
  await office.page.waitForSelector('main tbody tr:has-text("route") .chain, main tbody .chain')
  await settled(office.page)
  t.equal(await office.page.locator('main tbody tr').count(), 2, 'the source and the route')
  t.equal(await office.page.locator('main tbody .chain i.held').count(), 0)
  await user.page.goto(`${origin}/flows`)
  await user.page.waitForSelector('main .curve.flowing', { state: 'attached' })
  await office.page.evaluate(`window.marked = true`)
  await user.page.evaluate(`window.marked = true`)
  await until('both watch', () => city.feed.size === 2)

  city.now = new Date(city.now.getTime() + silentAfter + 1000)
  await city.store.query('update agent set last_seen = $2 where id = $1', [civil.id, city.now])
  await city.feed.look()
  await office.page.waitForSelector('main tbody tr:first-child .chain i.held')
  const row = await office.page.locator('main tbody tr').first().innerText()
  t.match(row, /停住/)
  t.match(row, /请启动水务局的代理/, 'whose turn it is')
  await user.page.waitForSelector('main .curve.held .cross')
  t.equal(await office.page.evaluate('window.marked'), true, 'nothing was loaded anew')
  t.equal(await user.page.evaluate('window.marked'), true)
  t.same([...(await barriers(office.page)), ...(await barriers(user.page))], [])

  await report()
  city.wakeups.wake(`event:agent ${civil.id}`)
  await office.page.waitForSelector('main tbody:not(:has(.held))')
  await user.page.waitForSelector('main .curve.flowing', { state: 'attached' })
  await user.page.click('.ant-segmented-item >> nth=1')
  await user.page.click('main tbody button')
  await user.page.waitForSelector('main section tbody .chain')
  await settled(user.page)
  t.same(await barriers(user.page), [])
  t.notMatch(await user.page.locator('main').innerText(), /停住|正常|路由/, 'in English')
  t.same([...office.complaints, ...user.complaints], [])
})

t.test('rows that arrive are seen to move, and only then; who wants no movement sees none', { skip: noBrowser }, async (t) => {
  const { console, route, water } = await openScene(t)
  const { city, origin } = console
  const { page, complaints } = await console.open('city', 'supervisor')
  // As a hub answers that is just stopping: the browser itself does not ask for the stream again.
  await page.route('**/api/v1/events', (route) => route.fulfill({ status: 503 }), { times: 1 })
  let asked = 0
  // Nor does it say then who is signed in.
  await page.route('**/api/v1/me', (route) => (++asked === 2 ? route.abort() : route.continue()))
  await page.goto(`${origin}/flows`)
  await page.waitForSelector('main .curve', { state: 'attached' })
  await until('it watches all the same', () => city.feed.size === 1)
  t.equal(asked, 2)
  t.equal(await page.locator('main .curve.moving').count(), 0)
  await city.store.query(`update log_stream set seq = 2`)
  const agent = { id: water.id, agency: 'water', publicKey: water.key.publicKey }
  await city.exchange.receipts(agent, [receiptFor({ ...agent, key: water.key }, route, { epoch: 10, seq: 2, hash }, { written: 7 })])
  await page.waitForSelector('main .curve.moving', { state: 'attached' })
  const animated = () => page.evaluate<string>(`getComputedStyle(document.querySelector('.curve.moving path')).animationName`)
  t.equal(await animated(), 'none', 'reduced motion')
  await page.emulateMedia({ reducedMotion: 'no-preference' })
  t.equal(await animated(), 'flow')
  await page.waitForSelector('main .filters:has-text("今日 7 行")')
  await page.waitForSelector('main:not(:has(.moving))')
  t.same(
    complaints.filter((line) => !line.includes('503') && !line.includes('ERR_FAILED')),
    [],
  )
})

t.test('one stream for all tabs; it ends with the session', { skip: noBrowser }, async (t) => {
  const { console } = await openScene(t)
  const { city, origin } = console
  const { page, context } = await console.open('water', 'agency-it')
  await page.goto(`${origin}/lines`)
  await until('it watches', () => city.feed.size === 1)
  const second = await context.newPage()
  await second.goto(`${origin}/agents`)
  await settled(second)
  t.equal(city.feed.size, 1, 'two tabs, one stream')
  const { secret } = city.as('water', 'agency-it')
  await city.caller(secret).post('/session/close')
  await second.waitForSelector('#login')
  await page.waitForSelector('#login')
  t.equal(city.feed.size, 0)
})

t.test('an agent: its lines, and what may be done', { skip: noBrowser }, async (t) => {
  const fault = { code: 'QZ-DB-UNREACHABLE', zh: '数据库无法使用', en: 'the database cannot be used', since: '2026-11-21T07:00:00Z' }
  const { console, water, route, grant, report } = await openScene(t)
  const asked: string[] = []
  console.city.services.asks = {
    ask: async (agent: string, question: { kind: string; name?: string }) => {
      asked.push(`${agent} ${question.kind} ${question.name ?? ''}`)
      if (question.kind === 'doctor') return { checks: [{ name: 'clock', ok: false, zh: '时钟偏差过大', en: 'the clock is wrong' }] }
      return { done: true }
    },
  } as never
  await report({ sink: { fault } })
  const { page, complaints } = await console.open('water', 'agency-it')
  await page.goto(`${console.origin}/agents`)
  await page.click('main tbody a')
  await page.waitForSelector('main tbody .chain i.held')
  t.match(await page.locator('main').innerText(), /1\.2\.3[^]*数据库无法使用/)
  t.same(await barriers(page), [])
  await page.click('.desk button >> nth=0')
  await page.click('[role=dialog] .ant-btn-primary')
  await page.waitForSelector('main [role=status] li:has-text("时钟偏差过大")')
  await page.click('main tbody button >> nth=0')
  await page.click('[role=dialog] .ant-btn-primary')
  await page.waitForSelector('[role=dialog]', { state: 'detached' })
  t.same(asked, [`${water.id} doctor `, `${water.id} pause villages.water`])

  // Another machine in three steps: applied for, approved, its token taken once with the command that it is part of.
  await page.goto(`${console.origin}/machines`)
  await page.click('main .filters .ant-btn-primary')
  await page.fill('[role=dialog] #name', '二号前置机')
  await page.fill('[role=dialog] #purpose', '接收村居名录')
  await page.click('[role=dialog] .ant-form-item:has(#providedBy) .ant-select')
  await page.click('.ant-select-dropdown:visible .ant-select-item-option >> nth=0')
  t.same(await barriers(page), [])
  await page.click('[role=dialog] .ant-btn-primary')
  await page.click('main tbody a')
  await page.waitForSelector('main .desk')
  const machine = new URL(page.url()).pathname
  t.equal((await console.city.as('city', 'office').post(`${machine}/approve`)).status, 200)
  await page.reload()
  await page.click('.desk .actions button:has(:text-is("领取登记令牌"))')
  await page.click('[role=dialog] .ant-btn-primary')
  t.match(await page.locator('main .ant-alert code').innerText(), /^qianzhi-agent enroll qzt1\.\S+$/)
  t.same(await barriers(page), [])
  await page.reload()
  await page.waitForSelector('main .desk')
  t.notMatch(await page.content(), /qzt1/, 'and is not shown again')

  // What both sides signed of their rows, and where the line stands on its grant.
  const side = { rows: 12, digest: '0'.repeat(32), from: '', to: '' }
  const statement = { source: side, target: { ...side, rows: 11 }, differing: 1, repaired: 0, remaining: 1, outcome: 'different' }
  const [{ id }] = (await console.city.store.query<{ id: string }>(
    `insert into reconciliation (route, requested_by, requested_at, repair, state, not_before, deadline, ended_at, statement, source_signature)
     values ($1, 'test', now(), false, 'different', now(), now(), now(), $2, 'a.b.signature-of-civil') returning id`,
    [route, JSON.stringify(statement)],
  )) as [{ id: string }]
  const user = await console.open('water', 'user', { language: 'en', dark: true })
  await user.page.goto(`${console.origin}/reconciliations`)
  await user.page.waitForSelector('main tbody .seal.broken')
  await user.page.goto(`${console.origin}/reconciliations/${id}`)
  await user.page.waitForSelector('main h2 .seal.broken')
  t.match(await user.page.locator('main').innerText(), /provider .*12[^]*ure-of-civil[^]*receiver .*11[^]*not signed[^]*still different: 1/)
  t.same(await barriers(user.page), [])
  await user.page.goto(`${console.origin}/grants/${grant}`)
  await user.page.waitForSelector('main .chain.wide i.held')
  await user.page.waitForSelector('main .steps .seal')
  t.same(await barriers(user.page), [])
  t.same(user.complaints, [])
  t.same(complaints, [])
})
