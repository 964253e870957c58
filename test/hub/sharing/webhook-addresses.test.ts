/** Where webhooks are sent to, and where never. */
import { createServer } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { AllowList, entryFault } from '../../../hub/sharing/webhooks/addresses.ts'
import type { SenderDeps } from '../../../hub/sharing/webhooks/sender.ts'
import type { WebhookSettings } from '../../../hub/sharing/webhooks/settings.ts'
import { pushing } from './pushing.ts'
import { Receiver } from './receiver.ts'

void t.test('it is sent only where the configuration allows, and never into the hub’s own network unless that is named', async (t) => {
  const { receiver, make, city, senderOf, send, hook, later, sender } = await pushing(t)
  await sender.pass()
  const settings = city.services.webhooks.settings
  const allow = (entries: string[], more: Partial<WebhookSettings> = {}) => ({ ...settings, allowed: new AllowList(entries), ...more })
  const { port } = new URL(receiver.url)
  for (const [entries, url, why] of [
    [['localhost'], receiver.url, 'loopback by name'],
    [['10.0.0.0/8'], `https://127.0.0.1:${port}/`, 'another network'],
    [['127.0.0.1'], `https://2130706434:${port}/`, 'an address in disguise'],
    [['127.0.0.0/8'], 'http://127.0.0.1/', 'http'],
    [['127.0.0.0/8'], 'https://user:word@127.0.0.1/', 'a password'],
    [['127.0.0.0/8'], 'ftp://127.0.0.1/', 'another scheme'],
    [['*.example'], 'https://nowhere.invalid/', 'a name that is not there'],
    [['127.0.0.0/8'], 'https://[::1]/', 'the other loopback'],
  ] as const) {
    city.services.webhooks = { settings: allow([...entries]) }
    t.match(await make(url), { status: 422, body: { code: 'QZ-WEBHOOK-URL' } }, why)
  }
  await send([{ code: '1', name: 'a', street: '' }])
  const tried = async (more: Partial<SenderDeps>, what: RegExp) => {
    const sent = receiver.seen.length
    later(2)
    await senderOf(more).pass()
    t.match((await hook()).fault, { en: what }, String(what))
    t.equal(receiver.seen.length, sent)
  }
  await tried({ settings: allow(['localhost']) }, /may not send there/)
  await tried(
    { settings: allow(['localhost']), resolve: async () => ['10.1.2.3', '169.254.169.254', '::ffff:127.0.0.1'] },
    /may not send there/,
  )
  await tried({ settings: allow(['127.0.0.0/8'], { ca: '' }) }, /certificate/)
  await tried({ resolve: async () => ['127.0.0.2'] }, /ECONNREFUSED 127\.0\.0\.2/)
  later(2)
  await senderOf().pass()
  t.ok(receiver.copy.has('1'))
  t.same(receiver.wrongs, [])
})

void t.test('a name that answers with another address each time is called at the address that was checked', async (t) => {
  const { receiver, senderOf } = await pushing(t)
  let asked = 0
  const resolve = async () => (++asked === 1 ? ['127.0.0.1'] : ['127.0.0.9'])
  await senderOf({ resolve }).pass()
  t.equal(receiver.seen.length, 1, 'the first went to the address that was looked up for it, the next was looked up anew')
})

void t.test('a certificate that is over, or of another host, is refused', async (t) => {
  const { senderOf, it, path, hook, city, later } = await pushing(t)
  for (const [now, hosts, what] of [
    [new Date('2020-01-01'), ['localhost', '127.0.0.1'], /expired/],
    [new Date(), ['other.test'], /localhost/],
  ] as const) {
    const other = await new Receiver().listen(t, now, [...hosts])
    t.match(await it.patch(path, { url: other.url }), { status: 200, body: { url: other.url } })
    later(2)
    await senderOf({ settings: { ...city.services.webhooks.settings, ca: other.authority } }).pass()
    t.match((await hook()).fault, { en: what })
    t.equal(other.seen.length, 0)
  }
})

void t.test('plain HTTP is for trials alone, by the configuration', async (t) => {
  const { it, grantId, city, senderOf } = await pushing(t)
  let came = 0
  const server = createServer((request, response) => {
    request.resume().once('end', () => response.writeHead(++came === 0 ? 500 : 200).end())
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  t.match(await it.post(`/grants/${grantId}/webhooks`, { name: 'x', url }), { status: 422 })
  city.services.webhooks = { settings: { ...city.services.webhooks.settings, http: true } }
  t.match(await it.post(`/grants/${grantId}/webhooks`, { name: 'x', url }), { status: 200 })
  await senderOf().pass()
  t.equal(came, 2)
})

void t.test('names and networks of the list', async (t) => {
  const list = new AllowList(['push.example.gov.cn', '*.water.example', '10.20.0.0/16', '2001:db8:1::/48', '192.0.2.7'])
  const allowed = (host: string, address: string) => list.allows(host, address)
  t.ok(allowed('push.example.gov.cn', '114.114.114.114'))
  t.ok(allowed('a.b.water.example', '2400:3200::1'))
  t.ok(allowed('whatever', '10.20.9.9'))
  t.ok(allowed('whatever', '::ffff:10.20.9.9'))
  t.ok(allowed('whatever', '2001:db8:1::9'))
  t.ok(allowed('192.0.2.7', '192.0.2.7'))
  t.notOk(allowed('water.example', '114.114.114.114'), 'not the domain itself')
  t.notOk(allowed('example.gov.cn', '114.114.114.114'))
  for (const special of [
    '127.0.0.1',
    '0.0.0.0',
    '10.0.0.1',
    '172.16.0.1',
    '192.168.1.1',
    '169.254.169.254',
    '100.64.0.1',
    '224.0.0.1',
    '255.255.255.255',
    '::1',
    '::',
    'fe80::1',
    'fd00::1',
    'ff02::1',
    '::ffff:192.168.1.1',
    '64:ff9b::a00:1',
    '2002:a00:1::1',
  ])
    t.notOk(allowed('push.example.gov.cn', special), special)
  for (const entry of ['10.0.0.0/33', 'http://x', 'a b', '10.1', '*', '*.', '1.2.3.4/', '']) t.ok(entryFault(entry), `${entry} is no entry`)
  for (const entry of ['a', 'a.b-c.example', '*.example.cn', '10.0.0.0/8', '::1', 'fd00::/8']) t.notOk(entryFault(entry), entry)
})
