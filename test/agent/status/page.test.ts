/** The status page over real HTTP: what it shows, to whom, and what it keeps. */
import { createServer, request, type IncomingMessage } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { createHash } from 'node:crypto'
import t from 'tap'
import { openPage, type PageServer } from '../../../agent/status/page/server.ts'
import { told, type AgentStatus } from '../../../agent/status/agent-status.ts'
import { StatusText } from '../../../agent/status/status-text.ts'
import { QianzhiError } from '../../../protocol/errors.ts'
import { statusOf } from './fixture.ts'

type Test = Pick<typeof t, 'teardown'>

async function served(test: Test, status: () => AgentStatus = () => statusOf(), language: 'zh' | 'en' = 'zh'): Promise<PageServer> {
  const page = await openPage(0, { status, language })
  test.teardown(() => page.close())
  return page
}

/** The path goes as it is written, also where it leads out of what is served. */
async function ask(
  page: PageServer,
  path: string,
  { method = 'GET', headers = {} }: { method?: string; headers?: Record<string, string> } = {},
) {
  const { port } = new URL(page.url)
  const asked = request({ host: '127.0.0.1', port, path, method, headers, agent: false }).end()
  const [answer] = (await once(asked, 'response')) as [IncomingMessage]
  return { status: answer.statusCode, headers: answer.headers, text: await text(answer) }
}

t.test('the overall line is well only where hub, policy and disk are', async (t) => {
  const well = statusOf({ sources: [], sinks: [] })
  const overall = (status: AgentStatus) => new StatusText(status).agent()[0]!
  t.match(overall(well), { tone: 'good', value: { en: '0 lines, none is held' } })
  const error = new QianzhiError('QZ-HUB-UNREACHABLE', { url: 'https://hub.test:8443', reason: 'ECONNREFUSED' })
  const fault = told({ code: error.code, zh: error.text('zh'), en: error.text('en'), since: well.time })
  t.match(overall({ ...well, clockOffset: -3_600_000 }), { tone: 'bad', value: { zh: /异常：与中心时钟$/ } }, 'an hour')
  t.match(overall({ ...well, hub: { ...well.hub, fault } }), {
    tone: 'bad',
    value: { zh: /无停住；异常：中心$/, en: /none is held; not well: Hub$/ },
  })
  const expired = { ...well, policy: { ...well.policy!, valid: false }, disk: { free: 1, size: 100, low: true } }
  t.match(overall(expired), { tone: 'bad', value: { zh: /异常：策略、数据目录磁盘$/ } })
})

t.test('a line that goes its way has no colour of warning', async (t) => {
  const status = statusOf()
  const sink = { ...status.sinks[0]!, state: 'flowing' as const, level: false }
  const against = (reached: string | undefined) => new StatusText(status).sink({ ...sink, ...(reached && { reached }) })[1]!
  t.match(against('2026-11-24T00:39:00.000Z'), { tone: undefined, value: { zh: /^接收中/, en: /^receiving/ } })
  t.match(against('2026-11-24T00:20:00.000Z'), { tone: 'warn', value: { zh: /^落后/ } }, 'for longer than ten minutes')
  const states = (['starting', 'loading', 'flowing'] as const).map((state) => new StatusText(status).sink({ ...sink, state })[0]!.tone)
  t.same(states, [undefined, undefined, 'good'])
})

t.test('a route that was stopped and is not configured by name says why', async (t) => {
  const reason = { zh: '已暂停', en: 'suspended' }
  const known = { since: '2026-11-24T00:00:00.000Z', by: '市电子政务办', next: { zh: '询问市电子政务办', en: 'ask the office' } }
  const stopped = [{ route: 'r', resource: 'roads', reason, because: '待核查', ...known }]
  const facts = new StatusText(statusOf({ stopped })).agent()
  t.match(
    facts.find(({ name }) => name.en === 'Stopped routes'),
    {
      tone: 'warn',
      value: {
        zh: 'roads 已暂停（2026-11-24 08:00:00，市电子政务办）：待核查。询问市电子政务办',
        en: 'roads suspended (2026-11-24 08:00:00, 市电子政务办): 待核查. ask the office',
      },
    },
  )
})

t.test('a grant that is held colours the whole, one that has ended for good does not', async (t) => {
  const overall = (over: boolean) => {
    const stopped = [{ route: 'r', resource: 'roads', reason: { zh: '停止', en: 'stopped' }, over }]
    return new StatusText(statusOf({ sources: [], sinks: [], clockOffset: 0, stopped })).agent()[0]!
  }
  t.match(overall(false), { tone: 'warn', value: { zh: /无停住；另有 1 条路由停止交付$/, en: /; besides, 1 route stopped$/ } })
  t.match(overall(true), { tone: 'good', value: { zh: /无停住$/ } })
})

t.test('few columns, the rest below them and whole, names where they are known', async (t) => {
  const status = statusOf()
  status.sources[0]!.title = '行政村'
  const long = '理由'.repeat(200)
  status.sources[1]!.files!.untaken = [{ file: 'x.csv', reason: { zh: long, en: long } }]
  const { text } = await ask(await served(t, () => status), '/')
  const heads = [...text.matchAll(/<thead>(.*?)<\/thead>/gs)].map(([, head]) => head!.match(/<th /g)!.length)
  t.same(heads, [8, 7])
  t.match(text, /<th scope="row">行政村<br \/><span class="muted">villages · front<\/span>/)
  t.match(text, new RegExp(`<tr class="more">(.|\n)*?${long}`), 'a reason of any length')
  t.match(text, /启动后已发行/)
  t.notMatch(text, /最近扫描<\/th>/)
})

t.test('the sign of each line: this machine’s end, the hub, and the far end, which is not known here', async (t) => {
  const signs = async (status: AgentStatus) => {
    const { text } = await ask(await served(t, () => status, 'en'), '/')
    return [...text.matchAll(/class="chain" role="img" aria-label="([^"]*)"/g)].map(([, told]) => told)
  }
  t.same(await signs(statusOf()), [
    'provider not complete \u25b8 hub flows \u25b8 receiver not known here',
    'provider held \u25b8 hub flows \u25b8 receiver not known here',
    'provider not known here \u25b8 hub flows \u25b8 receiver not complete',
  ])
  const fault = told({ code: 'QZ-HUB-UNREACHABLE', zh: '连不上', en: 'unreachable', since: statusOf().time })
  t.match((await signs(statusOf({ hub: { ...statusOf().hub, fault } })))[1], /hub held/)
})

t.test('shows every line, in Chinese by default, in English when asked', async (t) => {
  const page = await served(t)
  const zh = await ask(page, '/')
  t.equal(zh.status, 200)
  t.match(zh.text, /<html lang="zh-CN">/)
  t.equal(zh.headers['content-language'], 'zh-CN')
  for (const text of [
    '正常',
    '停住',
    '首次加载',
    '1,234',
    '3 分 20 秒前',
    '1,520 行/秒',
    '500/2000 行（25%），每秒 100 行，约剩 1 分 30 秒',
  ]) {
    t.ok(zh.text.includes(text), text)
  }
  // Times are of the configured zone.
  for (const text of [
    '2026-11-24 08:30:00',
    '2026-11-24 01:05:00 不一致',
    '一致，核对于 2026-11-24 08:39:00',
    '3 秒前应答',
    '本机慢 1 分 30 秒',
  ]) {
    t.ok(zh.text.includes(text), text)
  }
  t.match(zh.text, /QZ-DB-UNREACHABLE .*自 2026-11-24 08:38:30.*由本机运维人员处理：确认数据库在运行/, 'the fault with its remedy')
  t.match(zh.text, /此前的故障（已恢复）：QZ-DB-RIGHTS/)
  t.match(zh.text, /<title>（1 条停住）/)

  const en = await ask(page, '/?lang=en')
  t.match(en.text, /<html lang="en">/)
  for (const text of ['flowing', 'held', '3 min 20 s ago', '1,520 rows/s', 'the operator of this machine: see that the database runs']) {
    t.ok(en.text.includes(text), text)
  }
  t.notMatch(
    en.text.replaceAll(/ lang="zh-CN"[^<]*<\/a>|[坏好]\.csv/g, '').replace('"Microsoft', ''),
    /[\u4e00-\u9fff]/,
    'no Chinese but the switch',
  )
  t.match((await ask(page, '/?lang=xx')).text, /<html lang="zh-CN">/)
  t.match((await ask(await served(t, undefined, 'en'), '/')).text, /<html lang="en">/, 'the language of the configuration')
})

t.test('of a folder: when it was looked at, and which files were taken and refused last', async (t) => {
  const page = await served(t, undefined, 'en')
  const [html, zh] = [(await ask(page, '/')).text, (await ask(page, '/?lang=zh')).text]
  t.match(html, /<td class="">2026-11-24 08:39:30<\/td>/)
  t.match(html, /3 were taken, 1 refused; last taken 好\.csv \(2026-11-24 08:10:00\); last refused &#60;b&#62;坏\.csv/)
  t.match(zh, /已退回 1；最近接收 好\.csv（2026-11-24 08:10:00）；最近退回 &#60;b&#62;坏\.csv（2026-11-24 08:20:00 QZ-ROW-VALUE）/)
  const { sources } = JSON.parse((await ask(page, '/status.json')).text) as AgentStatus
  t.match(sources[1], { files: { looked: '2026-11-24T00:39:30.000Z', settled: [{ code: 'QZ-ROW-VALUE' }, { file: '好.csv' }] } })
})

t.test('what comes from elsewhere is text, and values of rows are not shown', async (t) => {
  const page = await served(t)
  const [html, json] = [(await ask(page, '/')).text, (await ask(page, '/status.json')).text]
  t.notMatch(html, /<b>/, 'escaped')
  t.match(html, /&#60;b&#62;Key \(id\)=\(…\)/)
  for (const text of [html, json]) t.notMatch(text, /441900|geheim/)
  const { sources, sinks, hub } = JSON.parse(json) as AgentStatus
  t.match(sources, [
    { resource: 'villages', rate: 1520 },
    { fault: { code: 'QZ-DB-UNREACHABLE' }, lastFault: { remedy: { zh: /运维/ } } },
  ])
  t.match(sinks, [{ level: true }])
  t.match(hub, { url: 'https://hub.test:8443' })
})

t.test('an agent without lines, without anything from the hub', async (t) => {
  const { hub, disk: _, policy: __, ...rest } = statusOf({ sources: [], sinks: [], page: { fault: '127.0.0.1:8470: in use' } })
  const bare = { ...rest, policy: null, hub: { url: hub.url } } as AgentStatus
  const { status, text: body } = await ask(await served(t, () => bare), '/')
  t.equal(status, 200)
  for (const part of ['没有配置', '尚未应答', '尚未收到', '未能打开：127.0.0.1:8470: in use']) t.ok(body.includes(part), part)
})

t.test('only who asks for this address by name, and only to read', async (t) => {
  const page = await served(t)
  const { port } = new URL(page.url)
  for (const host of [`127.0.0.1:${port}`, `localhost:${port}`, `LOCALHOST:${port}`]) {
    t.equal((await ask(page, '/', { headers: { host } })).status, 200, host)
  }
  for (const host of ['evil.test', `evil.test:${port}`, '127.0.0.1', '127.0.0.1:1', `127.0.0.1.evil.test:${port}`]) {
    const { status, text: body } = await ask(page, '/status.json', { headers: { host } })
    t.equal(status, 421, host)
    t.notMatch(body, /villages/)
  }
  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) {
    const { status, headers } = await ask(page, '/', { method })
    t.equal(status, 405, method)
    t.equal(headers['allow'], 'GET, HEAD')
  }
  for (const path of [
    '/control.json',
    '/..%2fcontrol.json',
    '/../control.json',
    '/data/state.json',
    '/status',
    '/ping',
    '//',
    '/?lang=../../x/..',
  ]) {
    const { status, text: body } = await ask(page, path)
    t.equal(status, path.startsWith('/?') ? 200 : 404, path)
    t.notMatch(body, /secret/)
  }
  const head = await ask(page, '/', { method: 'HEAD' })
  t.equal(head.status, 200)
  t.equal(head.text, '')
})

t.test('headers let a browser run nothing but what the page itself holds', async (t) => {
  const page = await served(t)
  for (const path of ['/', '/status.json', '/none']) {
    const { headers } = await ask(page, path)
    t.match(headers, { 'x-content-type-options': 'nosniff', 'x-frame-options': 'DENY', 'cache-control': 'no-store' }, path)
    t.match(headers, { 'cross-origin-resource-policy': 'same-origin', 'referrer-policy': 'no-referrer' })
    t.equal(headers['access-control-allow-origin'], undefined)
  }
  const { headers, text: body } = await ask(page, '/')
  const policy = String(headers['content-security-policy'])
  t.notMatch(policy, /unsafe|https?:|\*/)
  t.match(policy, /default-src 'none'/)
  for (const [tag, directive] of [
    ['script', 'script-src'],
    ['style', 'style-src'],
  ] as const) {
    const parts = [...body.matchAll(new RegExp(`<${tag}[^>]*>([\\s\\S]*?)</${tag}>`, 'g'))]
    t.equal(parts.length, 1, `one ${tag}`)
    const hash = createHash('sha256').update(parts[0]![1]!).digest('base64')
    t.match(policy, `${directive} 'sha256-${hash}'`)
  }
  t.notMatch(body, /(src|href)="(?!\/\?lang=)/, 'nothing is loaded from anywhere')
  t.notMatch(body, /\son\w+=|javascript:/)
})

t.test('for readers by ear and keyboard: language, headings, heads of tables', async (t) => {
  const { text: body } = await ask(await served(t), '/')
  t.equal([...body.matchAll(/<h1/g)].length, 1)
  t.equal([...body.matchAll(/<h2 id=/g)].length, 3)
  t.notMatch(body, /<th(?! scope=)[ >]/, 'each head says of what it is one')
  for (const [, rows] of body.matchAll(/<tbody>([\s\S]*?)<\/tbody>/g)) {
    for (const [row] of rows!.matchAll(/<tr>[\s\S]*?<\/tr>/g)) t.match(row, /<th scope="row">/)
  }
  t.match(body, /role="region" aria-labelledby="sources" tabindex="0"/, 'what scrolls can be scrolled by keyboard')
})

t.test('a port that is taken is said by the one who asks for it', async (t) => {
  const other = createServer()
  other.listen(0, '127.0.0.1')
  await once(other, 'listening')
  t.teardown(() => other.close())
  await t.rejects(openPage((other.address() as AddressInfo).port, { status: () => statusOf(), language: 'zh' }), { code: 'EADDRINUSE' })
})

t.test('a status that fails is an answer, not an end', async (t) => {
  let failing = true
  const page = await served(t, () => {
    if (failing) throw new Error('not now')
    return statusOf()
  })
  t.equal((await ask(page, '/')).status, 500)
  t.equal((await ask(page, '/status.json')).status, 500)
  failing = false
  t.equal((await ask(page, '/')).status, 200)
})
