/** Finding and proving in the console: lists, catalog, audit, sessions, what a decision needs. */
import pino from 'pino'
import t, { type Test } from 'tap'
import { auditJob } from '../../hub/jobs/audit.ts'
import { JobRunner } from '../../hub/jobs/runner.ts'
import { addGrant } from '../../hub/registry/grants/grants.ts'
import { noBrowser } from '../support/browser.ts'
import { barriers, openConsole, settled, withVillages, type Console, type Seen } from './fixture.ts'

/** Nothing serious for who sees or hears badly, and no complaint of the browser. */
async function isClean(t: Test, { page, complaints }: Seen, where: string): Promise<void> {
  t.same(await barriers(page), [], `${where}: barriers`)
  t.same(complaints, [], `${where}: complaints`)
}

async function withCorrections({ city }: Console, many: number): Promise<void> {
  await city.store.query(
    `insert into correction (agency, resource, items, fault, state, created_at)
     select case when n % 2 = 0 then 'water' else 'health' end, 'villages', '{}', 'x', case when n % 3 = 0 then 'closed' else 'reported' end,
       timestamptz '2026-11-01' + n * interval '1 minute' from generate_series(1, $1) n`,
    [many],
  )
}

t.test('a list: filtered and ordered by its address, counted, page after page', { skip: noBrowser }, async (t) => {
  const console = await openConsole(t)
  await withVillages(console)
  await withCorrections(console, 1_260)
  const seen = await console.open('city', 'office')
  const { page } = seen
  const count = () => page.locator('.filters [role=status]').innerText()
  const rows = () => page.locator('main tbody tr.ant-table-row').count()
  const first = () => page.locator('main tbody tr.ant-table-row >> nth=0').locator('td >> nth=0').innerText()
  await page.goto(`${console.origin}/corrections`)
  await settled(page)
  t.match(await count(), /^1000\+/, 'more than are counted')
  t.same([await rows(), await first()], [50, '1260'])
  await page.click('main p button')
  await page.waitForSelector('main tbody tr.ant-table-row >> nth=99')
  t.equal(await rows(), 100)
  await page.click('th.ant-table-column-has-sorters >> nth=0')
  await page.waitForURL(/sort=id/)
  await settled(page)
  t.equal(await first(), '1', 'the oldest first')
  await page.click('.filters .ant-select >> nth=0')
  await page.click('.ant-select-dropdown .ant-select-item >> text=\u529e\u7ed3')
  await page.keyboard.press('Escape')
  await page.waitForSelector('.filters [role=status]:has-text("420")')
  t.match(page.url(), /state=closed/)
  await page.reload()
  await page.waitForSelector('.filters [role=status]')
  t.match([await count(), await first()], [/^420 /, '3'], 'the address keeps it')
  await isClean(t, seen, 'a list')
  await page.context().close()
})

t.test(
  'the catalog: facets with counts, what one has already, suggestions; the header finds everything',
  { skip: noBrowser },
  async (t) => {
    const console = await openConsole(t)
    await withVillages(console)
    await addGrant(console.city, 'admin', { resource: 'villages', agency: 'water', items: ['name'] })
    const seen = await console.open('water', 'user')
    const { page } = seen
    await page.goto(`${console.origin}/catalog`)
    await settled(page)
    t.match(await page.locator('.faceted aside').innerText(), /民政局\s*1/, 'its agency, counted')
    t.match(await page.locator('.faceted article').innerText(), /已获授权/, 'what one has is marked')
    await page.click('.faceted aside button:has-text("已获授权")')
    await page.waitForURL(/mine=grant/)
    await page.waitForSelector('.faceted article')
    await settled(page)
    t.equal(await page.locator('.faceted article').count(), 1)
    await isClean(t, seen, 'catalog')
    await page.fill('.filters input[type=search] >> nth=0', '街')
    await page.click('.ant-select-item:has-text("街道")')
    await page.waitForURL(/text=/)
    await page.waitForSelector('.faceted article')
    await settled(page)
    t.equal(await page.locator('.faceted article').count(), 1, 'found by the item that was suggested')
    await page.locator('main h1').click()
    await page.keyboard.press('/')
    await page.keyboard.type('村居')
    await page.keyboard.press('Enter')
    await page.waitForURL(/\/search\?text=/)
    await page.waitForSelector('main:not(:has(.faceted)) h2')
    await settled(page)
    t.same(
      await page
        .locator('main h2')
        .allInnerTexts()
        .then((all) => all.map((one) => one.split(' ')[0])),
      ['资源', '授权'],
    )
    await isClean(t, seen, 'search')
    const dark = await console.open('civil', 'registrar', { dark: true, language: 'en' })
    for (const path of ['/catalog', '/search?text=1', '/resources']) {
      await dark.page.goto(console.origin + path)
      await settled(dark.page)
      await isClean(t, dark, path)
    }
    t.equal(await dark.page.locator('main h1').innerText(), 'My resources')
    t.match(await dark.page.locator('main td .strip').first().getAttribute('aria-label'), /^2 public, 1 internal, 1 closed$/)
  },
)

t.test('the audit: searched by words, verified; one byte altered by a superuser is named', { skip: noBrowser }, async (t) => {
  const console = await openConsole(t)
  const { city } = console
  const clock = () => city.clock()
  const parts = { store: city.store, wakeups: city.wakeups, uploads: city.services.uploads, clock }
  const kinds = { 'audit.verify': auditJob({ store: city.store, clock }) }
  const runner = new JobRunner({ ...parts, settings: { days: 7 }, logger: pino({ level: 'silent' }), kinds })
  runner.start()
  t.teardown(() => runner.stop())
  await withVillages(console)
  await city.as('water', 'user').get('/audit')
  const seen = await console.open('city', 'audit-admin')
  const { page } = seen
  const result = () => page.locator('section .ant-alert').innerText()
  await page.goto(`${console.origin}/audit`)
  await page.click('main section button')
  await page.waitForSelector('.ant-alert-success')
  t.match(await result(), /全链一致，共 \d+ 条/)
  t.equal(await page.locator('.ant-alert .seal:not(.broken)').count(), 1, 'sealed')
  await isClean(t, seen, 'verified')
  const [{ seq, entry }] = (await city.store.query<{ seq: string; entry: string }>(
    'select seq, entry from audit_seal order by seq offset 2 limit 1',
  )) as [any]
  await city.store.query('alter table audit_entry disable trigger all')
  await city.store.query(`update audit_entry set act = overlay(act placing 'x' from 1) where id = $1`, [entry])
  await page.click('main section button')
  await page.waitForSelector('.ant-alert-error')
  t.match(await result(), new RegExp(`第 ${seq} 条与封存时不一致`))
  t.equal(await page.locator('.ant-alert .seal.broken').count(), 1, 'and split')
  await isClean(t, seen, 'altered')
  await page.fill('.filters input[aria-label="结果"]', 'refused')
  await page.keyboard.press('Enter')
  await page.waitForURL(/outcome=refused/)
  const refused = (await city.store.query<{ n: number }>(`select count(*)::int as n from audit_entry where outcome <> 'done'`))[0]!.n
  await page.waitForSelector(`.filters [role=status]:text-matches("^${refused} ")`)
  t.ok(refused > 0)
})

t.test('sessions are listed and ended; settings are read', { skip: noBrowser }, async (t) => {
  const console = await openConsole(t)
  const { city } = console
  await city.store.query('update session set created_at = $1, last_used = $1', [city.now])
  const victim = await console.open('civil', 'user')
  await victim.page.goto(`${console.origin}/sessions`)
  await settled(victim.page)
  t.match(await victim.page.locator('main h1').innerText(), '我的会话')
  t.equal(await victim.page.locator('main tbody tr.ant-table-row').count(), 1, 'their own')
  const seen = await console.open('city', 'security-admin', { dark: true })
  const { page } = seen
  await page.goto(`${console.origin}/sessions?text=civil%20user`)
  await settled(page)
  await isClean(t, seen, 'sessions')
  await page.click('main tbody button')
  await page.click('[role=dialog] .ant-btn-primary')
  await page.waitForSelector('[role=dialog]', { state: 'detached' })
  await victim.page.reload()
  await victim.page.waitForSelector('#login')
  await page.click('nav.side a[href="/settings"]')
  await page.waitForSelector('main dl')
  t.match(await page.locator('main').innerText(), /闲置\s*30/)
  await isClean(t, seen, 'settings')
  // As where the hub was brought up to date since: the file of this page is there no longer.
  await page.route(/\/assets\/help-[^/]*\.js$/, (route) => route.fulfill({ status: 404 }))
  await page.click('header a.help')
  await page.waitForSelector('main [role=alert]:has-text("没有打开")')
  t.same(await barriers(page), [])
  await page.click('nav.side a[href="/settings"]')
  await page.waitForSelector('main dl')
  await page.unrouteAll()
  await page.goBack()
  await page.click('main [role=alert] button')
  await page.waitForSelector('.manual')
})

t.test(
  'the office decides on all it needs: who, conditions, what there is already; the whole way of the case',
  { skip: noBrowser },
  async (t) => {
    const console = await openConsole(t)
    const { city } = console
    const { agent } = await withVillages(console)
    const user = city.as('water', 'user')
    await city.store.query(`update person set phone = '0769-22831234' where id = $1`, [user.principal.person])
    await addGrant(city, 'admin', { resource: 'villages', agency: 'health', items: ['name'] })
    const wanted = {
      resource: 'villages',
      mode: 'exchange',
      items: ['name', 'street'],
      purpose: '防汛',
      basis: '条例',
      agent,
      atEnd: 'keep',
    }
    const first = (await user.post('/applications', wanted)).body.id
    await user.post(`/applications/${first}/submit`)
    await city.as('city', 'office').post(`/applications/${first}/reject`, { reason: '用途不明' })
    const { id } = (await user.post('/applications', wanted)).body
    await user.post(`/applications/${id}/submit`)
    for (const choices of [{}, { dark: true, language: 'en' }] as const) {
      const seen = await console.open('city', 'office', choices)
      await seen.page.goto(`${console.origin}/applications/${id}`)
      await seen.page.waitForSelector('.dossier h3')
      await settled(seen.page)
      const text = await seen.page.locator('.dossier').innerText()
      for (const part of ['water user', '0769-22831234', '民政局', '卫健局', '用途不明']) t.match(text, part)
      await isClean(t, seen, 'decision')
      await seen.context.close()
    }
    await city.as('city', 'office').post(`/applications/${id}/approve`)
    const seen = await console.open('water', 'user')
    await seen.page.goto(`${console.origin}/applications/${id}`)
    await seen.page.waitForSelector('ol.steps li')
    await settled(seen.page)
    t.equal(await seen.page.locator('.dossier').count(), 0, 'not for others')
    t.match(await seen.page.locator('ol.steps').innerText(), /提交[^]*批准/)
    await isClean(t, seen, 'its way')
  },
)

t.test(
  'in the dark: the code for an authenticator is dark on light; what is refused, and what is not there, leads on',
  { skip: noBrowser },
  async (t) => {
    const console = await openConsole(t)
    const { page, complaints } = await console.open('civil', 'user', { dark: true })
    await page.goto(`${console.origin}/account`)
    await page.click('main .actions button >> nth=1')
    await page.waitForSelector('main svg path')
    const fills = await page.evaluate<string[]>(
      `[...document.querySelectorAll('.ant-qrcode svg path')].map((path) => path.getAttribute('fill'))`,
    )
    t.same(fills, ['#fff', '#000'], 'ground and signs')
    t.same(await barriers(page), [])
    await page.goto(`${console.origin}/audit`)
    await page.waitForSelector('main [role=alert] a[href="/"]')
    t.equal(await page.locator('main .filters input').count(), 0, 'nothing to filter')
    t.same(await barriers(page), [])
    await page.goto(`${console.origin}/nothing`)
    await page.click('main a[href="/"]')
    await page.waitForSelector('main h1:has-text("待我办理")')
    t.same(complaints.filter((line) => !/403/.test(line)), []) // prettier-ignore
  },
)
