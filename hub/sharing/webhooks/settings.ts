import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { Type, type Static } from 'typebox'
import { QianzhiError, reasonOf } from '../../../protocol/errors.ts'
import { AllowList, entryFault } from './addresses.ts'

/** `webhooks:` of hub.yaml. */
export const WebhooksFile = Type.Object(
  {
    allow: Type.Optional(Type.Array(Type.String({ minLength: 1, maxLength: 253 }), { maxItems: 500 })),
    ca: Type.Optional(Type.String({ minLength: 1 })),
    http: Type.Optional(Type.Boolean()),
    tries: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000 })),
    rows: Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000 })),
    bytes: Type.Optional(Type.Integer({ minimum: 10_000, maximum: 16 << 20 })),
  },
  { additionalProperties: false },
)

export interface WebhookSettings {
  allowed: AllowList
  /** PEM: authorities of receivers' certificates, besides the well-known ones. */
  ca?: string
  /** Whether receivers may be called without TLS: for trials. */
  http: boolean
  /** Times that a portion is tried, before the webhook stands still; with the pauses between them, over a day. */
  tries: number
  /** Most changes of a portion, and about how many bytes. */
  rows: number
  bytes: number
}

/** Throws QZ-CONFIG. */
export function webhookSettings({ allow = [], ca, ...file }: Static<typeof WebhooksFile> = {}, folder = '.'): WebhookSettings {
  for (const [i, entry] of allow.entries()) {
    const reason = entryFault(entry)
    if (reason) throw new QianzhiError('QZ-CONFIG', { key: `webhooks.allow.${i}`, reason })
  }
  return {
    allowed: new AllowList(allow),
    ...(ca !== undefined && { ca: readAuthorities(resolve(folder, ca)) }),
    http: false,
    tries: 34,
    rows: 1000,
    bytes: 1_000_000,
    ...file,
  }
}

function readAuthorities(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    const reason = { zh: `无法读取 ${path}：${reasonOf(error)}`, en: `${path} cannot be read: ${reasonOf(error)}` }
    throw new QianzhiError('QZ-CONFIG', { key: 'webhooks.ca', reason }, { cause: error })
  }
}
