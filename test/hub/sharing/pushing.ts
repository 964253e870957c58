/** A grant of the water agency with a webhook, and its receiver. */
import { pino } from 'pino'
import type t from 'tap'
import { openPostgresLog } from '../../../hub/logs/postgres.ts'
import { WebhookSender, type SenderDeps } from '../../../hub/sharing/webhooks/sender.ts'
import { webhookSettings, type WebhookSettings } from '../../../hub/sharing/webhooks/settings.ts'
import { openDataCity } from './fixture.ts'
import { Receiver } from './receiver.ts'

type Test = Pick<typeof t, 'teardown' | 'equal' | 'match'>

export async function pushing(test: Test, items = ['name', 'street'], change: Partial<WebhookSettings> = {}) {
  const data = await openDataCity(test)
  const { city } = data
  const receiver = await new Receiver().listen(test)
  receiver.keys = (await city.app.inject('/oauth2/jwks')).json().keys
  const settings = { ...webhookSettings({ allow: ['127.0.0.0/8'] }), ca: receiver.authority, tries: 5, rows: 3, ...change }
  city.services.webhooks = { settings }
  const grant = await data.grant('api', items)
  const it = city.as('water', 'agency-it')
  const make = (url = receiver.url) => it.post(`/grants/${grant}/webhooks`, { name: '防汛系统', url })
  const made = await make()
  test.match(made, { status: 200, body: { state: 'active', place: null } }, made.text)
  const path = `/grants/${grant}/webhooks/${made.body.id}`
  const senderOf = (more: Partial<SenderDeps> = {}) => {
    const parts = {
      settings: city.services.webhooks.settings,
      hubKey: city.hubKey,
      patience: 300,
      log: openPostgresLog(city.store),
      usage: city.data.usage,
    }
    const sender = new WebhookSender({
      ...city.services.sharing,
      ...parts,
      clock: city.clock,
      logger: pino({ level: 'silent' }),
      ...more,
    })
    test.teardown(() => sender.stop())
    return sender
  }
  const sender = senderOf()
  const hook = async () => (await it.get(`/grants/${grant}/webhooks`)).body.items[0]
  const later = (hours: number) => (city.now = new Date(city.now.getTime() + hours * 3_600_000))
  return { ...data, receiver, grantId: grant, id: String(made.body.id), it, make, path, senderOf, sender, hook, later }
}
