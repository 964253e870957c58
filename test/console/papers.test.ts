/** The papers of a case in the browser: what is decided on it with masks, sent back, told, asked for together, printed and attached. */
import pino from 'pino'
import type { Page } from 'playwright-core'
import t from 'tap'
import { openPostgresLog } from '../../hub/logs/postgres.ts'
import { publishResource } from '../../hub/registry/publishing/direct-publishing.ts'
import { ResourceTables } from '../../hub/tables/tables.ts'
import type { Answer } from '../hub/city.ts'
import { villages } from '../hub/office.ts'
import { noBrowser } from '../support/browser.ts'
import { barriers, openConsole, settled, type Console } from './fixture.ts'

/** The villages as people of civil enter them, to be had by query where civil consents. */
async function openScene(console: Console): Promise<void> {
  const { city } = console
  const { store, hubKey, wakeups, clock } = city
  const log = openPostgresLog(store)
  await publishResource(city, 'admin', { schema: villages(), supplyMode: 'form' })
  await store.query(`update resource set sharing = 'conditional', share_modes = '{query,api,exchange}' where code = 'villages'`)
  const values = { code: '441900003001', name: '岗贝社区居委会', street: '广东省东莞市东城街道岗贝路1号' }
  const entered = await city.as('civil', 'registrar').post('/resources/villages/rows', { values })
  if (entered.status !== 200) throw new Error(entered.text)
  await new ResourceTables({ store, log, hubKey, wakeups, clock, logger: pino({ level: 'silent' }) }).catchUp()
}

const asked = { resource: 'villages', mode: 'query', items: ['name', 'street'], purpose: '防汛预案', basis: '防汛条例第七条' }

/** By the applicant's API. @returns the application's id. */
async function applied({ city }: Console): Promise<string> {
  const user = city.as('water', 'user')
  const { id } = (await user.post('/applications', asked)).body
  const answer = await user.post(`/applications/${id}/submit`)
  if (answer.status !== 200) throw new Error(answer.text)
  return id
}

/** Presses a button of the desk, and says yes in its dialog after `fill`. */
async function act(
  page: Page,
  words: string,
  fill: () => Promise<unknown> = async () => undefined,
  button = '.desk .actions button',
): Promise<void> {
  await page.click(`${button}:has(:text-is("${words}"))`)
  await page.waitForSelector('[role=dialog]')
  await fill()
  await page.click('[role=dialog] .ant-btn-primary')
  await page.waitForSelector('[role=dialog]', { state: 'detached' })
}

t.test('the papers of a case', { skip: noBrowser }, async (t) => {
  const console = await openConsole(t)
  const { city, origin } = console
  await openScene(console)
  const [office, reviewer, user] = [
    await console.open('city', 'office'),
    await console.open('civil', 'reviewer'),
    await console.open('water', 'user'),
  ]

  await t.test('masks: by the provider in its consent, by the office in its approval; the query shows no more', async (t) => {
    const id = await applied(console)
    const mask = async (page: Page, item: string, words: string) => {
      await page.click(`[role=dialog] .ant-form-item:has(label:text-is("${item}")) .ant-select`)
      await page.click(`.ant-select-dropdown:visible .ant-select-item-option:has-text("${words}")`)
    }
    await reviewer.page.goto(`${origin}/applications/${id}`)
    await act(reviewer.page, '提供单位同意', async () => {
      t.same(await barriers(reviewer.page), [])
      await mask(reviewer.page, '名称', '保留首尾各 1 位')
    })
    await office.page.goto(`${origin}/applications/${id}`)
    await act(office.page, '批准', async () => {
      await office.page.waitForSelector('[role=dialog] fieldset label:text-is("名称")')
      await office.page.uncheck('[role=dialog] [type=checkbox][value=name]')
      await office.page.waitForSelector('[role=dialog] fieldset label:text-is("名称")', { state: 'detached' })
      await office.page.check('[role=dialog] [type=checkbox][value=name]')
      await mask(office.page, '街道', '地址只到区县镇街')
    })
    const decided = (await city.as('city', 'office').get(`/applications/${id}`)).body
    t.match(decided, {
      state: 'approved',
      masks: { street: { kind: 'district' } },
      consents: [{ masks: { name: { kind: 'keep', first: 1, last: 1 } } }],
    })
    await office.page.reload()
    const cells = async (page: Page, item: string) => {
      await page.waitForSelector(`main section tr td:text-is("${item}")`)
      return (await page.locator(`main section tr:has(td:text-is("${item}")) td`).allInnerTexts()).slice(-2)
    }
    t.same(await cells(office.page, '名称'), ['保留首尾各 1 位', '—'], 'on the application')
    const [grant] = decided.grants
    await user.page.goto(`${origin}/grants/${grant.id}`)
    t.same(await cells(user.page, '名称'), ['保留首尾各 1 位', '—'], 'on the grant')
    t.same(await cells(user.page, '街道'), ['—', '地址只到区县镇街'])
    t.same(await barriers(user.page), [])
    await user.page.goto(`${origin}/queries/villages`)
    await user.page.fill('#purpose', '核验')
    await user.page.click('main form [type=submit]')
    await user.page.waitForSelector('main tbody tr:not([aria-hidden]) td')
    await settled(user.page)
    t.same(await user.page.locator('main tbody tr:last-child td').allInnerTexts(), [
      '441900003001',
      '岗*****会',
      '广东省东莞市东城街道',
      '报告有误',
    ])
    t.notMatch(await user.page.content(), /岗贝/)
    await act(
      user.page,
      '报告有误',
      async () => {
        await user.page.check('[role=dialog] [type=checkbox][value=name]')
        await user.page.fill('[role=dialog] #fault', '不是这个名称')
        t.same(await barriers(user.page), [])
      },
      'main tbody button',
    )
    t.match((await city.as('water', 'user').get('/corrections')).body.items, [
      { resource: 'villages', key: { code: '441900003001' }, items: ['name'], fault: '不是这个名称' },
    ])
  })

  await t.test('a notice leads to what it is about, and is read with it', async (t) => {
    const unread = async () => (await city.as('water', 'user').get('/notices?unread=true')).body.unread as number
    const before = await unread()
    await user.page.goto(`${origin}/notices`)
    const line = user.page.locator('main p:has(strong:text-is("共享申请"))')
    t.match(await line.first().innerText(), /●[^]*村居名录[^]*已批准/)
    t.same(await barriers(user.page), [])
    await line.locator('a').first().click()
    await user.page.waitForURL(/\/applications\/\d+$/)
    await user.page.waitForSelector('main .desk')
    await user.page.goto(`${origin}/notices`)
    t.notMatch(await line.first().innerText(), /●/)
    t.ok((await unread()) < before)
  })

  await t.test('five resources, one purpose: five applications', async (t) => {
    for (let n = 1; n <= 4; n++) {
      const schema = villages((draft) => Object.assign(draft, { resource: `list.${n}`, table: `list_${n}`, title: `名录 ${n}` }))
      await publishResource(city, 'admin', { schema })
      await city.store.query(`update resource set share_modes = '{query,exchange}' where code = $1`, [schema.resource])
    }
    const { page } = user
    await page.goto(`${origin}/catalog`)
    for (const title of ['村居名录', '名录 1', '名录 2', '名录 3', '名录 4'])
      await page.click(`main article:has(strong:text-is("${title}")) button`)
    t.equal(await page.evaluate('sessionStorage.length'), 1)
    await page.click('header a[href="/basket"]')
    await page.waitForSelector('main form')
    await page.hover('main h1')
    await settled(page)
    t.same(await barriers(page), [])
    const closed = page.locator('main label:has-text("不公开（第五条）") input')
    t.equal(await closed.count(), 5)
    for (const one of await closed.all()) t.ok(await one.isDisabled(), 'closed items cannot be ticked')
    for (const one of await page.locator('main form button:has-text("全部可选")').all()) await one.click()
    await page.check('main [type=radio][value=query]')
    await page.fill('#purpose', '防汛预案编制')
    await page.fill('#basis', '防汛条例第七条')
    const before = (await city.as('water', 'user').get('/applications')).body.total.count as number
    await city.store.query(`update resource set share_modes = '{exchange}' where code = 'list.2'`)
    await page.click('main form [type=submit]')
    await page.waitForSelector('main form [role=alert]')
    t.match(await page.locator('main form [role=alert]').innerText(), /《名录 2》.*不以数据查询方式共享|《名录 2》/)
    t.equal((await city.as('water', 'user').get('/applications')).body.total.count, before, 'all, or none')
    await city.store.query(`update resource set share_modes = '{query,exchange}' where code = 'list.2'`)
    await page.click('main form [type=submit]')
    await page.waitForURL(/\/applications$/)
    const made = (await city.as('water', 'user').get('/applications?text=防汛预案编制')).body.items as {
      resource: string
      state: string
      items: string[]
      mode: string
    }[]
    const inOrder = made.toSorted((a, b) => (a.resource < b.resource ? -1 : 1))
    t.same(
      inOrder.map(({ resource, state, items, mode }) => [resource, state, items, mode]),
      [
        ['list.1', 'reviewing', ['code', 'name', 'street'], 'query'],
        ['list.2', 'reviewing', ['code', 'name', 'street'], 'query'],
        ['list.3', 'reviewing', ['code', 'name', 'street'], 'query'],
        ['list.4', 'reviewing', ['code', 'name', 'street'], 'query'],
        ['villages', 'consulting', ['code', 'name', 'street'], 'query'],
      ],
    )
    t.equal(await page.evaluate(`sessionStorage.getItem('qianzhi-basket')`), '[]')
    user.complaints.splice(0, Infinity, ...user.complaints.filter((line) => !/422/.test(line)))
  })

  await t.test('on paper: the form, an order, a declaration, an evaluation, in both languages', async (t) => {
    const asked = (await city.as('city', 'office').get('/applications?state=approved')).body.items[0].id
    const made = async (answer: Promise<Answer>) => {
      const { status, body, text } = await answer
      if (status !== 200) throw new Error(text)
      return body.id as string
    }
    const order = { agency: 'civil', resource: 'villages', cause: 'update', text: '请于期限内更新村居名录', due: '2026-12-15' }
    const majeure = { kind: 'force-majeure', text: '机房进水', measures: '改用备份' }
    const papers = [
      { path: `/applications/${asked}`, zh: [/共享申请表/, /水务局/, /民政局/, /村居名录/, /防汛预案/, /名称（对外公开）、街道（对内公开）/, /提交[^]*提供单位同意[^]*批准/], en: [/Application for shared data/, /Course of the matter/, /approve/] },
      { path: `/orders/${await made(city.as('city', 'office').post('/orders', order))}`, zh: [/责令改正通知书/, /民政局/, /不及时更新/, /请于期限内更新/, /2026-12-15/], en: [/Rectification order/, /not updated in time/] },
      { path: `/declarations/${await made(city.as('civil', 'registrar').post('/declarations', majeure))}`, zh: [/不可抗力通知/, /办理流程/, /机房进水/, /改用备份/], en: [/Notice of force majeure/] },
      { path: `/evaluations/${await made(city.as('city', 'office').post('/evaluations', { period: '2026-Q3' }))}`, zh: [/评估结果/, /办理流程[^]*汇总评估/, /2026-Q3/, /名次/, /民政局[^]*91.5/], en: [/Evaluation of data sharing/, /rank/] },
    ] // prettier-ignore
    await city.store.query(`insert into evaluation_line (evaluation, agency, agency_name, figures, scores, score)
      select id, 'civil', '民政局', '{}', '{}', 91.5 from evaluation`)
    const english = await console.open('city', 'office', { language: 'en', dark: true })
    for (const { path, zh, en } of papers) {
      for (const [{ page }, parts] of [
        [office, [...zh, /编号/, /签字[^]*盖章/]],
        [english, [...en, /No\./, /signature:[^]*\(stamp\)/]],
      ] as const) {
        await page.goto(origin + path)
        await page.waitForSelector('.paper td', { state: 'attached' })
        await settled(page)
        t.notOk(await page.isVisible('.paper'), 'on the screen there is the screen')
        await page.emulateMedia({ media: 'print' })
        const text = await page.locator('.paper').innerText()
        for (const part of parts) t.match(text, part, path)
        for (const frame of ['header.header', 'nav.side', '.desk', 'main > .columns'])
          t.notOk(await page.isVisible(frame), `${path}: no ${frame}`)
        t.match(await page.evaluate(`getComputedStyle(document.querySelector('.paper')).fontFamily`), /SimSun.*serif$/)
        if (page === office.page) {
          const pdf = (await page.pdf({ preferCSSPageSize: true })).toString('latin1')
          t.match(pdf, /\/MediaBox ?\[0 0 59[45][\d.]* 84[12]/, 'A4')
        }
        await page.emulateMedia({ media: null })
      }
    }
    t.same(english.complaints, [])
    await english.context.close()
  })

  await t.test('several at once: each is decided on its own, and what was not done says why', async (t) => {
    const { page } = office
    await page.goto(`${origin}/applications?text=${encodeURIComponent('防汛预案编制')}`)
    await page.waitForSelector('main tbody tr.ant-table-row')
    t.equal(await page.locator('main tbody [type=checkbox]:not([disabled])').count(), 4, 'those that wait for the office')
    await page.check('main thead [type=checkbox]')
    await page.waitForSelector('main [role=toolbar]:has-text("已选 4 件")')
    t.same(await barriers(page), [])
    await city.store.query(`update resource set state = 'suspended' where code = 'list.2'`)
    await page.click('main [role=toolbar] .ant-btn-primary')
    await page.waitForSelector('[role=dialog]')
    t.same(await barriers(page), [])
    await page.click('[role=dialog] .ant-btn-primary')
    await page.waitForSelector('main [role=status]:has-text("已办理 3 件，未办理 1 件")')
    t.match(await page.locator('main .problem li').innerText(), /QZ-/)
    await city.store.query(`update resource set state = 'active' where code = 'list.2'`)
    const { items } = (await city.as('city', 'office').get('/applications?text=防汛预案编制')).body
    t.same((items as { state: string }[]).map(({ state }) => state).toSorted(), [
      'approved',
      'approved',
      'approved',
      'consulting',
      'reviewing',
    ])
    office.complaints.splice(0, Infinity)
  })

  await t.test('masks of what is asked for by a standard', async (t) => {
    const form = JSON.stringify({ title: '名录标准', items: villages().items })
    await city.store.query(`insert into standard (code, state, version, form) values ('register', 'published', 1, $1)`, [form])
    await city.store.query(`update resource set standard = 'register' where code = 'list.1'`)
    const { resource: _, ...rest } = asked
    const { id } = (await city.as('water', 'user').post('/applications', { ...rest, standard: 'register' })).body
    t.equal((await city.as('water', 'user').post(`/applications/${id}/submit`)).status, 200)
    await office.page.goto(`${origin}/applications/${id}`)
    await office.page.waitForSelector('main section td:text-is("街道")')
    await act(office.page, '批准', async () => {
      await office.page.click('[role=dialog] .ant-form-item:has(label:text-is("街道")) .ant-select')
      await office.page.click('.ant-select-dropdown:visible .ant-select-item-option:has-text("地址只到区县镇街")')
    })
    t.match((await city.as('city', 'office').get(`/applications/${id}`)).body, {
      state: 'approved',
      masks: { street: { kind: 'district' } },
    })
  })

  await t.test('returned, completed with a paper, submitted again', async (t) => {
    const { id } = (await city.as('water', 'user').post('/applications', { ...asked, until: '2027-12-31' })).body
    await city.as('water', 'user').post(`/applications/${id}/submit`)
    await office.page.goto(`${origin}/applications/${id}`)
    await act(office.page, '退回补正', () => office.page.fill('[role=dialog] #reason', '请附盖章的申请表'))
    const { page, complaints } = user
    await page.goto(origin)
    // What comes later moves what is there.
    await settled(page)
    await page.click(`main tbody a[href="/applications/${id}"]`)
    await page.waitForSelector('.desk :text("待补正")')
    await settled(page)
    t.match(await page.locator('main').innerText(), /请附盖章的申请表[^]*不计期限/)
    const attach = (name: string, text: string) =>
      page.setInputFiles('main input[type=file]', { name, mimeType: 'application/pdf', buffer: Buffer.from(text) })
    await attach('不是.pdf', '<html>')
    await page.waitForSelector('main .attachments [role=alert]')
    await attach('申请表.pdf', '%PDF-1.7 stamped')
    await page.waitForSelector('main .attachments li')
    t.same(await barriers(page), [])
    const [file] = await Promise.all([page.waitForEvent('download'), page.click('main .attachments li a')])
    t.equal(file.suggestedFilename(), '申请表.pdf')
    await act(page, '修改草稿', () => page.fill('[role=dialog] #basis', '防汛条例第七条第二款'))
    t.match((await city.as('water', 'user').get(`/applications/${id}`)).body, { basis: /第二款/, until: '2027-12-31T16:00:00.000Z' })
    await act(page, '提交')
    await page.waitForSelector('.desk :text("待提供单位答复")')
    await page.waitForSelector('main .attachments:not(:has(input))')
    complaints.splice(0, Infinity, ...complaints.filter((line) => !/400/.test(line)))
  })

  await t.test('what an agent’s configuration is to say stands beside the resource, to be copied', async (t) => {
    const { page, complaints, context } = await console.open('civil', 'agency-it')
    await page.goto(`${origin}/resources/list.1`)
    await page.waitForSelector('.agent-config pre')
    t.equal(await page.locator('.agent-config pre').innerText(), 'sources:\n  - resource: list.1\n    database: front\n    table: list_1\n')
    await context.grantPermissions(['clipboard-read', 'clipboard-write'])
    await page.click('.agent-config .ant-typography-copy')
    await page.waitForSelector('.agent-config .ant-typography-copy-success')
    t.match(await page.evaluate('navigator.clipboard.readText()'), /^sources:/)
    t.same(await barriers(page), [])
    await page.goto(`${origin}/resources/villages`)
    await page.waitForSelector('main .desk')
    await settled(page)
    t.equal(await page.locator('.agent-config').count(), 0, 'people enter it')
    t.same(complaints, [])
    await context.close()
  })

  for (const { complaints } of [office, reviewer, user]) t.same(complaints, [])
})
