/** The wall screen in the browser: opened by a link that is shown once, for weeks, without a secret that a script could read. */
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { addGrant } from '../../hub/registry/grants/grants.ts'
import { addRoute } from '../../hub/registry/grants/routes.ts'
import { secondHub } from '../hub/city.ts'
import { noBrowser } from '../support/browser.ts'
import { barriers, openConsole, settled, withVillages } from './fixture.ts'

t.test(
  'a key is made, its link shown once; it opens the wall, and the wall says when it is not up to date',
  { skip: noBrowser },
  async (t) => {
    const console = await openConsole(t)
    const { city, origin } = console
    const { agent } = await withVillages(console)
    const grant = await addGrant(city, 'admin', { resource: 'villages', agency: 'water', items: ['name'] })
    await addRoute(city, 'admin', grant.id, agent)
    await city.store.query(`insert into duty_mark (resource, period, mark, agency, ends, at) select 'villages', d::date, case when n % 2 = 0 then 'overdue' else 'updated' end, 'civil', d::date, now()
    from generate_series('2026-11-01'::date, '2026-11-20', interval '1 day') with ordinality x (d, n)`) // prettier-ignore

    const admin = await console.open('city', 'security-admin')
    await admin.page.goto(`${origin}/keys`)
    await settled(admin.page)
    await admin.page.click('.filters .ant-btn-primary')
    await admin.page.fill('[role=dialog] #agency', 'city')
    await admin.page.click('.ant-select-dropdown:visible .ant-select-item-option')
    await admin.page.fill('[role=dialog] #name', '大厅')
    await admin.page.click('[role=dialog] .ant-form-item:has(#role) .ant-select')
    await admin.page.click('.ant-select-item-option:has-text("大屏")')
    await admin.page.click('[role=dialog] .ant-btn-primary')
    const link = await admin.page.locator('main .ant-alert code').innerText()
    t.match(link, /^https:\/\/hub\.test\/wall#qzk_[\w-]{32}$/)
    t.same(await barriers(admin.page), [])
    await admin.page.reload()
    await settled(admin.page)
    const [, secret = ''] = link.split('#')
    t.notMatch(await admin.page.content(), secret, 'once')

    const { page, context, complaints } = await console.visit()
    const asked: string[] = []
    page.on('request', (request) => asked.push(`${request.url()} ${JSON.stringify(request.headers())}`))
    await page.setViewportSize({ width: 1920, height: 1080 })
    await page.goto(`${origin}/wall#${secret}`)
    await page.waitForSelector('.wall .band')
    t.equal(page.url(), `${origin}/wall`)
    const kept = await page.evaluate<string>(
      `JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie, location.href, history.state, document.documentElement.outerHTML])`,
    )
    t.notMatch(kept, secret, 'nothing that a script could read')
    t.same(
      asked.filter((one) => one.split(' ')[0]!.includes(secret)),
      [],
      'nor in an address',
    )
    t.match(await context.cookies(), [{ name: 'qz_display', value: secret, httpOnly: true, secure: true, sameSite: 'Strict' }])
    const text = await page.locator('.wall').innerText()
    for (const part of [/已接入单位\s*0 \/ 2/, /资源\s*1/, /链路\s*1/, /已更新\s*10/, /逾期\s*10/, /民政局\s*10/, /水务局/])
      t.match(text, part)
    t.same(await barriers(page), [])
    t.same(complaints, [])
    const status = (headers: object) => page.evaluate<number>(`fetch('/api/v1/me', { headers: ${JSON.stringify(headers)} }).then((answer) => answer.status)`) // prettier-ignore
    t.same([await status({ 'qz-display': '1' }), await status({})], [403, 401], 'nothing else')

    await page.keyboard.press('2')
    await page.waitForSelector('.wall.one .duties')
    t.equal(await page.locator('.wall .rails').count(), 0)
    await page.keyboard.press('2')
    await page.waitForSelector('.wall:not(.one) .rails')
    const size = () => page.evaluate<[number, boolean]>(`[parseFloat(getComputedStyle(document.querySelector('.wall')).fontSize), document.documentElement.scrollHeight <= innerHeight && document.documentElement.scrollWidth <= innerWidth]`) // prettier-ignore
    const [small, fits] = await size()
    await page.setViewportSize({ width: 3840, height: 2160 })
    const [large, fitsToo] = await size()
    t.ok(fits && fitsToo, 'nothing has to be scrolled')
    t.ok(Math.abs(large / small - 2) < 0.05, `${small} ${large}: it grows with the screen`)
    await page.setViewportSize({ width: 1920, height: 1080 })

    city.now = new Date(city.now.getTime() + 24 * 3_600_000)
    await page.reload()
    await page.waitForSelector('.wall .band time:has-text("2026-11-23")')

    const { port } = city.app.server.address() as AddressInfo
    const again = await secondHub(t, city)
    await city.app.close()
    await page.waitForSelector('.wall .stale:has-text("未更新")')
    await again.app.listen({ host: '127.0.0.1', port })
    await page.waitForSelector('.wall:not(:has(.stale)) .band')
    const made = await again.store.query<{ id: string }>('select id from api_key')
    await again.as('city', 'security-admin').post(`/keys/${made[0]!.id}/end`)
    await page.waitForSelector('.wall.message [role=alert]')
  },
)
