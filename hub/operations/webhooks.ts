import { Type } from 'typebox'
import { asSeenBy, changeWebhook, createWebhook, endWebhook, listWebhooks, replayWebhook } from '../sharing/webhooks/webhooks.ts'
import { edit } from './events.ts'
import { operation, type Operation } from './operation.ts'
import { ById, closed, NoBody, nullable, ShownText, Text } from './shapes.ts'

const Webhook = Type.Object({
  id: Type.String(),
  grant: Type.String(),
  name: Type.String(),
  url: Type.String(),
  /** held: given up for now, after many tries; it goes on when it is told to. */
  state: Type.Enum(['active', 'held', 'ended']),
  /** `next` of the last portion that was taken; null while a copy begins. */
  place: nullable(Type.String()),
  whole: Type.Boolean(),
  delivery: Type.Integer(),
  attempts: Type.Integer(),
  fault: nullable(ShownText),
  failedSince: nullable(Type.String()),
  nextAt: nullable(Type.String()),
  deliveredAt: nullable(Type.String()),
  createdBy: Type.String(),
  created: Type.String(),
  ended: nullable(Type.String()),
})

const WebhookOfGrant = Type.Object({ ...ById.properties, webhook: Type.String({ minLength: 1, maxLength: 60 }) })
const Address = Type.String({ minLength: 8, maxLength: 1000 })

/** Webhooks 推送 (Art. 16): changes are sent to who cannot ask for them; each of one grant in mode API. */
export const webhookOperations: readonly Operation[] = [
  operation({
    name: 'webhook.list',
    method: 'GET',
    path: '/grants/:id/webhooks',
    objectKind: 'grant',
    text: { zh: '授权的推送', en: 'webhooks of a grant' },
    params: ById,
    answer: Type.Object({ items: Type.Array(Webhook) }),
    run: async ({ registry, principal, params: { id } }) => ({ items: await listWebhooks(registry.store.query, id, principal.agency) }),
  }),
  operation({
    name: 'webhook.create',
    method: 'POST',
    path: '/grants/:id/webhooks',
    objectKind: 'grant',
    text: { zh: '新建推送', en: 'make a webhook' },
    params: ById,
    body: Type.Object({ name: Text(100), url: Address }, closed),
    example: { name: '防汛指挥系统', url: 'https://push.water.example.gov.cn/villages' },
    answer: Webhook,
    run: async ({ registry, services, principal, params: { id }, body }) => createWebhook(registry, services.webhooks, principal, id, body),
  }),
  edit({
    name: 'webhook.change',
    method: 'PATCH',
    path: '/grants/:id/webhooks/:webhook',
    objectKind: 'grant',
    text: { zh: '更改推送', en: 'give a webhook another name or address' },
    params: WebhookOfGrant,
    body: Type.Object({ name: Type.Optional(Text(100)), url: Type.Optional(Address) }, { ...closed, minProperties: 1 }),
    example: { url: 'https://push2.water.example.gov.cn/villages' },
    answer: Webhook,
    run: async ({ registry, services, principal, params: { id, webhook }, body }) =>
      changeWebhook(registry, services.webhooks, principal, { grant: id, id: webhook }, body),
  }),
  operation({
    name: 'webhook.end',
    method: 'POST',
    path: '/grants/:id/webhooks/:webhook/end',
    objectKind: 'grant',
    text: { zh: '停用推送', en: 'end a webhook' },
    params: WebhookOfGrant,
    body: NoBody,
    answer: Webhook,
    run: async ({ registry, principal, params: { id, webhook } }) =>
      asSeenBy(registry.store.query, await endWebhook(registry, principal, { grant: id, id: webhook }), principal.agency),
  }),
  operation({
    name: 'webhook.replay',
    method: 'POST',
    path: '/grants/:id/webhooks/:webhook/replay',
    objectKind: 'grant',
    text: { zh: '恢复推送', en: 'have a webhook go on' },
    params: WebhookOfGrant,
    body: Type.Object(
      {
        from: Type.Optional(Type.Enum(['here', 'beginning', 'behind'])),
        after: Type.Optional(Type.String({ minLength: 1, maxLength: 60 })),
      },
      closed,
    ),
    example: { from: 'here' },
    answer: Webhook,
    run: async ({ registry, principal, params: { id, webhook }, body }) =>
      asSeenBy(registry.store.query, await replayWebhook(registry, principal, { grant: id, id: webhook }, body), principal.agency),
  }),
]
