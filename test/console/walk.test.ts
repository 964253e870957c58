/** The console's pages: every role sees what its rights allow, without a complaint of the browser, in both languages, light and dark. */
import type { Page } from 'playwright-core'
import t from 'tap'
import { roleNames, type Role } from '../../hub/records/roles.ts'
import { addGrant } from '../../hub/registry/grants/grants.ts'
import { Random, seedOfThisRun } from '../faults/random.ts'
import { agencyRoles } from '../hub/city.ts'
import { noBrowser } from '../support/browser.ts'
import { longer } from '../support/longer.ts'
import { barriers, openConsole, settled, withObjects, withVillages, type Console, type Seen } from './fixture.ts'

const agencyOf = (role: Role) => (agencyRoles.includes(role) ? 'civil' : 'city')

/** Opens each place of the navigation that is wanted, and the first object in it. */
async function walk(
  { origin }: Console,
  { page }: Seen,
  wanted: (place: string) => boolean,
  look: (where: string) => Promise<void>,
): Promise<number> {
  await page.goto(origin)
  await page.waitForSelector('main h1')
  await look('/')
  const places = await page
    .locator('nav.side a')
    .all()
    .then((links) => Promise.all(links.map((link) => link.getAttribute('href'))))
  for (const place of places.slice(1).filter((one) => wanted(one!))) {
    await page.click(`nav.side a[href="${place!}"]`)
    await page.waitForURL(({ pathname, search }) => pathname + search === place)
    // A page that is loaded when it is opened leaves the one before standing until then.
    await page.waitForSelector(`nav.side a[aria-current=page][href="${place!.split('?')[0]!}"]`)
    await page.waitForSelector('main h1')
    await settled(page)
    await look(place!)
    const first = page.locator('main tbody tr.ant-table-row :is(td:first-child, .ant-table-selection-column + td) a').first()
    if ((await first.count()) === 0) continue
    const address = (await first.getAttribute('href'))!
    await first.click()
    // What has no page of its own is found in its list.
    await page.waitForSelector(address.includes('?') ? `nav.side a[aria-current=page][href="${address.split('?')[0]!}"]` : 'main .desk')
    await settled(page)
    await look(`${place!}/…`)
  }
  return places.length
}

/** What people typed into this city, in whatever language, and codes. */
const typed = /[民水卫]\S*局|市电子政务办|村居名录|区划代码|名称|街道|电话|中文/g
/** What has no Chinese name, and what people typed. */
const latin =
  /EXCEL|QZ-[A-Z-]+|DCAT|English|title|what|why|text|purpose|place|source|fault|basis|measures|villages|machine|(?:civil|water|city) [a-z -]+|made-\d+|objects\d+/g

/** Words of the other language: Chinese anywhere in the English console; English in heads, names, buttons and states of the Chinese one. */
async function foreign(page: Page, language: 'zh' | 'en'): Promise<string[]> {
  const where = language === 'en' ? 'body *' : 'h1, h2, h3, th, dt, label, button, .state, nav a, .ant-select-placeholder'
  const texts = await page.evaluate<string[]>(`[...document.querySelectorAll(${JSON.stringify(where)})].flatMap((one) =>
    [...one.childNodes].filter((node) => node.nodeType === 3).map((node) => node.data.trim()))`)
  const isForeign = (text: string) =>
    language === 'en'
      ? /\p{Script=Han}|[\uff0c\u3002\u3001\uff1a]/u.test(text.replaceAll(typed, ''))
      : /[A-Za-z]{3,}/.test(text.replaceAll(latin, ''))
  return [...new Set(texts.filter(isForeign))]
}

t.test('every role: all its pages', { skip: noBrowser }, async (t) => {
  const console = await openConsole(t)
  await withVillages(console)
  await withObjects(console)
  const [seenBefore, examined] = [new Set<string>(), new Set<string>()]
  const random = new Random(seedOfThisRun())
  for (const [at, role] of roleNames.entries()) {
    // Each role in one of the four ways to look at it; all ways come three times or so.
    const choices = { language: at % 2 === 0 ? ('zh' as const) : ('en' as const), dark: at % 4 > 1 }
    const seen = await console.open(agencyOf(role), role, choices)
    const found: string[] = []
    const looked = async (where: string) => {
      const text = await seen.page.locator('main').innerText()
      if (/Problem|QZ-[A-Z]+/.test(text)) found.push(`${where}: ${text.slice(0, 300)}`)
      found.push(...(await foreign(seen.page, choices.language)).map((words) => `${where}: ${words}`))
      // Every page once on light ground, and once on dark; in the usual run on the one that comes first.
      const place = longer ? where : `${where} ${choices.dark}`
      if (examined.has(place)) return
      examined.add(place)
      found.push(...(await barriers(seen.page)).map((barrier) => `${where}: ${barrier}`))
    }
    // Every place in each language; what others of this run have seen so, a third of the roles that may, and all of them in the longer one.
    const wanted = (place: string) => {
      const known = seenBefore.has(`${place} ${choices.language}`)
      seenBefore.add(`${place} ${choices.language}`)
      return !longer || !known || random.chance(1 / 3)
    }
    const places = await walk(console, seen, wanted, looked)
    t.same(found, [], `${role}: ${places} places in ${choices.language}${choices.dark ? ', dark' : ''}`)
    t.same(seen.complaints, [], `${role}: the browser complains of nothing`)
    await seen.context.close()
  }
})

t.test('asked for in the browser, approved from the desk by three clicks, or three keys', { skip: noBrowser }, async (t) => {
  const console = await openConsole(t)
  await withVillages(console)
  const { page, complaints } = await console.open('water', 'user')
  for (const purpose of ['防汛', '抗旱']) {
    await page.goto(`${console.origin}/catalog?text=${encodeURIComponent('村居')}`)
    await page.click('main strong')
    await page.click('.desk button')
    await page.waitForSelector('form')
    await page.click('form .ant-checkbox-input >> nth=0')
    await page.click('form .ant-checkbox-input >> nth=1')
    await page.fill('#purpose', purpose)
    await page.fill('#basis', '防汛条例')
    await page.click('form [type=submit]')
    await page.waitForURL(/\/applications\/\d+$/)
  }
  t.same(complaints, [])
  const office = await console.open('city', 'office')
  await office.page.goto(console.origin)
  await office.page.waitForSelector('.glance dd:has-text("2")')
  t.match(await office.page.locator('.glance').innerText(), /待审批的共享申请\s+2/, 'figures of the role')
  await office.page.click('main tbody tr >> nth=0 >> a')
  await office.page.click('.desk .ant-btn-primary')
  await office.page.click('[role=dialog] .ant-btn-primary')
  await office.page.waitForSelector('.ant-message-success')
  t.same(await states(console), ['approved', 'reviewing'], 'three clicks')

  await office.page.goto(console.origin)
  await office.page.waitForSelector('tr.chosen')
  await office.page.keyboard.press('Enter')
  await office.page.waitForSelector('.desk .ant-btn-primary')
  await office.page.keyboard.press('a')
  await office.page.waitForSelector('[role=dialog]')
  await office.page.keyboard.press('Enter')
  await office.page.waitForSelector('.ant-message-success')
  t.same(await states(console), ['approved', 'approved'], 'three keys')
  t.same(office.complaints, [])
})

async function states({ city }: Console): Promise<string[]> {
  return (await city.store.query<{ state: string }>('select state from application order by state')).map(({ state }) => state)
}

t.test(
  'signing in: one message for whatever is wrong, then the desk; what is typed elsewhere stays text',
  { skip: noBrowser },
  async (t) => {
    const console = await openConsole(t)
    const { city } = console
    const password = 'Zhuang-47.Hetao'
    const made = await city
      .as('city', 'system-admin')
      .post('/people', { login: 'zhang.san', name: '<img src=x onerror=alert(1)>', agency: 'civil' })
    await city.as('city', 'security-admin').put(`/people/${made.body.person.id}/roles`, { roles: ['user'] })
    const secret = new URL(made.body.link as string).hash.slice(1)
    t.equal((await city.nobody.post('/activation', { secret, password })).status, 200)
    const { page, complaints } = await console.visit()
    await page.goto(`${console.origin}/applications`)
    const signIn = async (login: string, typed: string) => {
      await page.fill('#login', login)
      await page.fill('#password', typed)
      await page.click('[type=submit]')
    }
    const messages = []
    for (const [login, typed] of [
      ['zhang.san', 'wrong'],
      ['nobody', password],
    ] as const) {
      // prettier-ignore
      await signIn(login, typed)
      messages.push(await page.locator('[role=alert] strong').innerText())
      await page.reload()
    }
    t.equal(messages[0], messages[1])
    await signIn('zhang.san', password)
    await page.waitForSelector('nav.side')
    t.match(page.url(), /\/applications$/, 'where they wanted to be')
    t.match(await page.locator('header').innerText(), /<img src=x/, 'a name is text')
    t.same(complaints.filter((line) => !/401/.test(line)), []) // prettier-ignore
    const kept = await page.evaluate<string>('JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie])')
    t.notMatch(kept, /qz|token|secret/, 'no script can read who is signed in')
    await page.click('header .ant-btn-text')
    await page.click('.ant-dropdown-menu-item >> nth=1')
    await page.waitForSelector('#login')
  },
)

t.test('a credential: its secret is shown once, then it is ended', { skip: noBrowser }, async (t) => {
  const console = await openConsole(t)
  const { city } = console
  await withVillages(console)
  const grant = await addGrant(city, 'admin', { resource: 'villages', agency: 'water', items: ['name'] })
  await city.store.query(`update access_grant set mode = 'api'`)
  const { page, complaints } = await console.open('water', 'user')
  await page.goto(`${console.origin}/grants/${grant.id}`)
  await page.click('main section section:first-of-type h2 button')
  await page.fill('[role=dialog] #name', '防汛指挥系统')
  await page.click('[role=dialog] .ant-btn-primary')
  const secret = await page.locator('.ant-alert code').innerText()
  const [client] = (await city.as('water', 'user').get(`/grants/${grant.id}/credentials`)).body.items
  const basic = Buffer.from(`${client.id}:${secret}`).toString('base64')
  const form = { 'content-type': 'application/x-www-form-urlencoded', authorization: `Basic ${basic}` }
  const token = () => city.app.inject({ method: 'POST', url: '/oauth2/token', headers: form, payload: 'grant_type=client_credentials' })
  t.equal((await token()).statusCode, 200, 'it is the secret')
  t.same(await barriers(page), [])
  await page.reload()
  await page.waitForSelector('main section section tbody button')
  t.notMatch(await page.content(), secret, 'and is not shown again')
  await page.click('main section section tbody button >> nth=1')
  await page.click('[role=dialog] .ant-btn-primary')
  await page.waitForSelector('[role=dialog]', { state: 'detached' })
  t.equal((await token()).statusCode, 401)
  t.same(complaints, [])
})

t.test('addresses: the console for what people open, a problem for what programs ask', async (t) => {
  const { city, origin } = await openConsole(t)
  for (const path of ['/', '/applications/7', '/no/such/page']) {
    const answer = await city.app.inject({ method: 'GET', url: path })
    t.match([answer.statusCode, answer.headers['content-type']], [200, /text\/html/], path)
    t.match(answer.headers['content-security-policy'], /script-src 'self';.*'nonce-/, 'nothing runs that is not ours')
    t.notMatch(answer.body, /%NONCE%/)
  }
  for (const path of ['/api/v1/nothing', '/api/nothing', '/data/nothing', '/agent/v2/x', '/assets/nothing.js']) {
    const answer = await city.app.inject({ method: 'GET', url: path })
    t.equal(answer.statusCode, 404, path)
    t.notMatch(answer.headers['content-type'], /html/, path)
  }
  const [one, two] = [await city.app.inject({ url: '/' }), await city.app.inject({ url: '/' })]
  t.not(one.headers['content-security-policy'], two.headers['content-security-policy'], 'a nonce serves once')
  t.match(origin, /^https/)
})
