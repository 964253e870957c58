import { Type } from 'typebox'
import { rule } from '../records/refusals.ts'
import { change } from '../records/registry.ts'
import { masksOf, requireGrant } from '../registry/grants/grants.ts'
import { record } from '../records/history.ts'
import { createClient, endClient, listClients, rotateClient, type Client } from '../sharing/clients.ts'
import { setMasks } from '../sharing/grant-masks.ts'
import { usageOf } from '../sharing/usage.ts'
import { edit } from './events.ts'
import { operation, type Operation } from './operation.ts'
import { ById, closed, MasksByItem, MasksOfGrant, Network, NoBody, nullable, Text } from './shapes.ts'

const Credential = Type.Object({
  id: Type.String(),
  grant: Type.String(),
  name: Type.String(),
  addresses: nullable(Type.Array(Type.String())),
  createdBy: Type.String(),
  created: Type.String(),
  ended: nullable(Type.String()),
  keys: Type.Array(Type.Object({ kind: Type.Enum(['secret', 'key']), created: Type.String(), ends: nullable(Type.String()) })),
})

/** The secret is told here, and never again. */
const Issued = Type.Object({ ...Credential.properties, secret: nullable(Type.String()) })

const Jwk = Type.Object({ kty: Type.Enum(['OKP', 'EC', 'RSA']) }, { additionalProperties: true })
const ClientOfGrant = Type.Object({ ...ById.properties, client: Type.String({ minLength: 1, maxLength: 60 }) })

const issued = ({ client, secret }: { client: Client; secret: string | null }) => ({ ...client, secret })

/** Credentials of the API 接口凭证 (Art. 16): each of one grant. */
export const credentialOperations: readonly Operation[] = [
  operation({
    name: 'credential.list',
    method: 'GET',
    path: '/grants/:id/credentials',
    objectKind: 'grant',
    text: { zh: '授权的接口凭证', en: 'API credentials of a grant' },
    params: ById,
    answer: Type.Object({ items: Type.Array(Credential) }),
    run: async ({ registry, params: { id } }) => ({ items: await listClients(registry.store.query, id) }),
  }),
  operation({
    name: 'credential.create',
    method: 'POST',
    path: '/grants/:id/credentials',
    objectKind: 'grant',
    text: { zh: '新建接口凭证', en: 'make an API credential' },
    params: ById,
    body: Type.Object(
      { name: Text(100), jwk: Type.Optional(Jwk), addresses: Type.Optional(Type.Array(Network, { minItems: 1, maxItems: 50 })) },
      closed,
    ),
    example: { name: '防汛指挥系统', addresses: ['10.20.0.0/16'] },
    answer: Issued,
    run: async ({ registry, principal, params: { id }, body }) => issued(await createClient(registry, principal, id, body)),
  }),
  operation({
    name: 'credential.rotate',
    method: 'POST',
    path: '/grants/:id/credentials/:client/rotate',
    objectKind: 'grant',
    text: { zh: '更换接口凭证的密钥', en: 'give an API credential another secret or key' },
    params: ClientOfGrant,
    body: Type.Object({ hours: Type.Optional(Type.Integer({ minimum: 0, maximum: 720 })), jwk: Type.Optional(Jwk) }, closed),
    example: { hours: 24 },
    answer: Issued,
    run: async ({ registry, principal, params: { id, client }, body: { hours = 24, jwk } }) =>
      issued(await rotateClient(registry, principal, { grant: id, id: client, hours, jwk })),
  }),
  operation({
    name: 'credential.end',
    method: 'POST',
    path: '/grants/:id/credentials/:client/end',
    objectKind: 'grant',
    text: { zh: '停用接口凭证', en: 'end an API credential' },
    params: ClientOfGrant,
    body: NoBody,
    answer: Credential,
    run: async ({ registry, principal, params: { id, client } }) => endClient(registry, principal, id, client),
  }),
  operation({
    name: 'credential.usage',
    method: 'GET',
    path: '/grants/:id/usage',
    objectKind: 'grant',
    text: { zh: '授权的接口使用量', en: 'how much of a grant its programs used' },
    params: ById,
    answer: Type.Object({
      items: Type.Array(Type.Object({ day: Type.String(), requests: Type.Integer(), rows: Type.Integer() })),
    }),
    run: async ({ registry, params: { id } }) => ({ items: await usageOf(registry.store.query, id, 92) }),
  }),
  operation({
    name: 'grant.masks',
    method: 'GET',
    path: '/grants/:id/masks',
    objectKind: 'grant',
    text: { zh: '授权的脱敏要求', en: 'what a grant shows masked' },
    params: ById,
    answer: MasksOfGrant,
    run: async ({ registry, params: { id } }) => masksOf(registry.store.query, id),
  }),
  edit({
    name: 'grant.mask',
    method: 'PUT',
    path: '/grants/:id/masks',
    objectKind: 'grant',
    text: { zh: '设定授权的脱敏要求', en: 'say what a grant shows masked' },
    params: ById,
    body: Type.Object({ masks: MasksByItem }, closed),
    example: { masks: { phone: { kind: 'keep', first: 3, last: 4 } } },
    answer: MasksOfGrant,
    run: async ({ registry, principal, params: { id }, body: { masks } }) => setMasks(registry, principal, id, masks),
  }),
  edit({
    name: 'grant.limits',
    method: 'PUT',
    path: '/grants/:id/limits',
    objectKind: 'grant',
    text: { zh: '设定接口授权的频率和配额', en: 'set how often a grant may be used by API' },
    params: ById,
    body: Type.Object(
      {
        /** Requests a second. */
        rate: nullable(Type.Integer({ minimum: 1, maximum: 10_000 })),
        /** Requests a day. */
        quota: nullable(Type.Integer({ minimum: 1, maximum: 1_000_000_000 })),
      },
      closed,
    ),
    example: { rate: 20, quota: 100_000 },
    answer: Type.Object({ rate: nullable(Type.Integer()), quota: nullable(Type.Integer()) }),
    run: async ({ registry, principal, params: { id }, body: { rate, quota } }) =>
      change(registry, async (query) => {
        const { mode, state } = await requireGrant(query, id)
        if (mode !== 'api') throw rule('只有数据接口方式的授权有频率和配额', 'only grants in mode API have a rate and a quota')
        await query('update access_grant set api_rate = $2, api_quota = $3 where id = $1', [id, rate, quota])
        await record(query, { workflow: 'grant', object: id, event: 'limits', from: state, to: state, principal, input: { rate, quota } })
        return { rate, quota }
      }),
  }),
]
