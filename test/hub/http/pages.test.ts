/** What people open in a browser, by real HTTP: what this is, and where a one-time link leads. */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { runInNewContext } from 'node:vm'
import pino from 'pino'
import t from 'tap'
import { Agent, request } from 'undici'
import { makeAccess } from '../../../hub/access/access.ts'
import { defaultAccess } from '../../../hub/access/settings.ts'
import { consoleApi } from '../../../hub/http/console.ts'
import { pagesApi } from '../../../hub/http/pages.ts'
import { Refusals } from '../../../hub/http/refusals.ts'
import { registryApi } from '../../../hub/http/registry.ts'
import { createServer } from '../../../hub/http/server.ts'
import { operations } from '../../../hub/operations/index.ts'
import { activationLink, invite, inviteFirst } from '../../../hub/registry/people/invitations.ts'
import { authorityPath } from '../../../hub/store/durable-files.ts'
import { ownCertificate } from '../../../hub/tls.ts'
import { generateSigningKey } from '../../../protocol/signature.ts'
import { openOffice } from '../office.ts'
import type { Services } from '../../../hub/operations/services.ts'
import { noBrowser, openBrowser } from '../../support/browser.ts'

const rules = { ...defaultAccess, factor: [], password: { ...defaultAccess.password, cost: 10 } }

interface Got {
  status: number
  text: string
  headers: Record<string, string | string[] | undefined>
}

async function served(test: Pick<typeof t, 'teardown'>) {
  const folder = await mkdtemp(join(tmpdir(), 'qianzhi-pages-'))
  const office = await openOffice(test)
  const access = makeAccess(rules, generateSigningKey().privateKey)
  const logger = pino({ level: 'silent' })
  const refusals = new Refusals(office.store, logger)
  const certificate = await ownCertificate(folder, ['localhost'], new Date())
  const services = { access } as unknown as Services
  // Where the console was not built.
  const noConsole = consoleApi(`${folder}/`)
  const open = [registryApi(office, services, operations), pagesApi({ registry: office, access, logger, refusals }), noConsole]
  const app = await createServer({ registry: office, logger, refusals, certificate, bodyLimit: 1 << 20, open, agents: [] })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const dispatcher = new Agent({ connect: { ca: await readFile(authorityPath(folder), 'utf8'), servername: 'localhost' } })
  test.teardown(async () => {
    await app.close()
    await dispatcher.close()
    await rm(folder, { recursive: true })
  })
  const origin = `https://127.0.0.1:${(app.server.address() as AddressInfo).port}`
  const call = async (
    path: string,
    more: { form?: Record<string, string>; json?: object; language?: string; method?: 'GET' | 'POST' } = {},
  ): Promise<Got> => {
    const { form, json, language } = more
    const answer = await request(origin + path, {
      dispatcher,
      method: form || json ? 'POST' : 'GET',
      headers: {
        ...(language !== undefined && { 'accept-language': language }),
        ...(form && { 'content-type': 'application/x-www-form-urlencoded' }),
        ...(json && { 'content-type': 'application/json' }),
      },
      ...(form && { body: new URLSearchParams(form).toString() }),
      ...(json && { body: JSON.stringify(json) }),
    })
    return { status: answer.statusCode, text: await answer.body.text(), headers: answer.headers }
  }
  return { office, call, origin }
}

const alert = (text: string) => /role="alert">([^<]*)</.exec(text)?.[1]
const password = 'Xk7#mmQ2vv'

t.test('pages', async (t) => {
  const { office, call, origin } = await served(t)

  await t.test('/ says what this is', async (t) => {
    const page = await call('/')
    t.match(page, { status: 200, headers: { 'content-type': 'text/html; charset=utf-8', 'content-language': 'zh' } })
    t.match(page.text, /<html lang="zh-CN">[^]*政务数据共享交换平台[^]*href="\/activate"[^]*href="\/docs"/)
    for (const [language, wanted] of [
      ['en-GB,en;q=0.8', 'en'],
      ['zh-CN,zh;q=0.9,en;q=0.8', 'zh'],
      ['fr', 'zh'],
      ['en;q=0.5,zh;q=0.7', 'zh'],
      ['en;q=x', 'zh'],
    ] as const)
      t.equal((await call('/', { language })).headers['content-language'], wanted, language)
    t.match((await call('/?lang=en')).text, /<html lang="en">[^]*href="\/\?lang=zh"[^]*This is the hub/)
    t.equal((await call('/?lang=fr')).status, 200)
  })

  await t.test('every answer has the security headers, and each page a policy of its own', async (t) => {
    const always = {
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
      'referrer-policy': 'no-referrer',
      'strict-transport-security': /max-age/,
    }
    for (const [path, policy] of [
      ['/', /default-src 'none'.*script-src 'sha256-.*form-action 'self'/],
      ['/activate', /default-src 'none'.*form-action 'self'/],
      ['/nowhere', /default-src 'none'.*form-action 'none'/],
      ['/api/v1/me', /default-src 'none'.*frame-ancestors 'none'/],
      ['/docs/json', /frame-ancestors 'none'/],
      ['/docs/static/index.html', /default-src 'self'.*frame-ancestors 'none'/],
    ] as const) {
      const { headers } = await call(path)
      t.match(headers, { ...always, 'content-security-policy': policy }, path)
      t.notMatch(String(headers['content-security-policy']), /unsafe-inline|https:|swagger\.io/, path)
    }
  })

  await t.test('the first administrator', async (t) => {
    const { secret } = (await inviteFirst(office, rules))!
    t.match((await call('/activate')).text, /<input id="secret" name="secret" required/)
    const wrong = await call('/activate', { form: { secret: 'none' } })
    t.match(wrong.status, 403)
    t.match(alert(wrong.text), /链接无效|不存在/)
    t.match(alert((await call('/activate?lang=en', { form: { secret: 'none' } })).text), /unknown/)
    const asked = await call('/activate', { form: { secret } })
    t.match(asked.text, /首个系统管理员[^]*name="login"[^]*name="agencyName"[^]*name="again"/)
    const form = { secret, login: 'zhang.san', name: '张"<三>', agency: 'city', agencyName: '市电子政务办' }
    const post = (more: object) => call('/activate', { form: { ...form, ...more } })
    const differ = await post({ password, again: 'x' })
    t.match(differ, { status: 422 })
    t.match(alert(differ.text), /不一致/)
    t.match(differ.text, /value="张&#34;&#60;三&#62;"/, 'what was filled in stays, and is text')
    t.notMatch(differ.text, password)
    t.match(alert((await post({ password: 'short', again: 'short' })).text), /至少/)
    t.match(alert((await post({ password, again: password, agency: 'City' })).text), /小写字母/)
    t.match(alert((await post({ password, again: password, login: '1' })).text), /登录名/)
    t.match(alert((await post({ password, again: password, name: ' ' })).text), /姓名/)
    t.match((await post({ password, again: password, name: 'a\0b' })).status, 400)
    const done = await post({ password, again: password })
    t.match(done, { status: 200, text: /口令已设置[^]*zhang\.san/ })
    t.notOk(done.headers['set-cookie'], 'nobody is signed in by it')
    t.match(alert((await post({ password, again: password })).text), /已使用/)
    const signedIn = await call('/api/v1/session', { json: { login: 'zhang.san', password } })
    t.match(JSON.parse(signedIn.text), { name: '张"<三>', roles: ['system-admin'] })
  })

  await t.test('the code goes from the link into the form, and leaves the address', async (t) => {
    const script = /<script>([^]*)<\/script>/.exec((await call('/activate')).text)![1]!
    const form = { secret: { value: '' }, submitted: false, submit: () => void (form.submitted = true) }
    const addresses: string[] = []
    const history = { replaceState: (_state: null, _title: string, address: string) => void addresses.push(address) }
    const document = { querySelector: () => form }
    runInNewContext(script, { location: { hash: '', pathname: '/activate', search: '' }, history, document })
    t.notOk(form.submitted, 'without a code it is typed in')
    runInNewContext(script, { location: { hash: '#the-code', pathname: '/activate', search: '?lang=en' }, history, document })
    t.match(form, { secret: { value: 'the-code' }, submitted: true })
    t.same(addresses, ['/activate?lang=en'])
  })

  await t.test('in a browser the link fills the form, and its code leaves the address', { skip: noBrowser }, async (t) => {
    const browser = await openBrowser(t)
    const [row] = await office.store.query<{ id: string }>(
      `insert into person (agency, login, name, state) values ('civil', 'li.si', '李四', 'invited') returning id`,
    )
    const { secret } = await invite(office.store.query, rules, row!.id, office.now)
    const page = await browser.newPage({ ignoreHTTPSErrors: true })
    await page.goto(activationLink(origin, secret))
    await page.waitForSelector('#password')
    t.equal(page.url(), `${origin}/activate`)
    t.match(await page.content(), /李四/)
    await page.fill('#password', password)
    await page.fill('#again', password)
    await page.click('button')
    await page.waitForSelector('.good')
    t.match(await page.content(), /li\.si/)
  })
})

t.test('an address may try only so often', async (t) => {
  const { office, call } = await served(t)
  const statuses = []
  for (let i = 0; i <= rules.attempts; i++) statuses.push((await call('/activate', { form: { secret: String(i) } })).status)
  t.same([statuses[0], statuses.at(-1)], [403, 429])
  const refused = await office.store.query(`select outcome from audit_entry where object = 'POST /activate'`)
  t.same(refused, [{ outcome: 'QZ-LINK' }], 'what is refused is on record; more of it is counted')
})
