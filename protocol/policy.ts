import { Type, type Static } from 'typebox'
import { Compile } from 'typebox/compile'
import { Checkpoint } from './checkpoint.ts'
import { QianzhiError } from './errors.ts'
import { localTime } from './local-time.ts'
import { inLanguage, type LocalizedText } from './localized.ts'
import { AnyMask } from './masks.ts'
import { Schema } from './schema.ts'
import { signStatement, verifyStatement, type SigningKey } from './signature.ts'

const Localized = Type.Object({ zh: Type.String(), en: Type.String() })

/** Why a route gets nothing. */
const stop = {
  reason: Localized,
  /** What whoever stopped it wrote, or the hub itself. */
  because: Type.Optional(Type.Union([Type.String(), Localized])),
  since: Type.Optional(Type.String()),
  /** Name of the agency whose act it was. */
  by: Type.Optional(Type.String()),
  /** Who must act, and how. */
  next: Type.Optional(Localized),
  /** It never goes on again. */
  over: Type.Optional(Type.Boolean()),
}

/** What one agent may supply and receive, signed by the hub. Its serial only grows; it expires. */
export const Policy = Type.Object({
  v: Type.Literal(1),
  agent: Type.String(),
  agency: Type.String(),
  /** Only grows, also over a restored hub: never below the hub's clock in milliseconds when it was issued. */
  serial: Type.Integer({ minimum: 1 }),
  issued: Type.String(),
  expires: Type.String(),
  /** The newest checkpoint of the hub's audit when it was issued. */
  audit: Type.Optional(Checkpoint),
  supply: Type.Array(
    Type.Object({
      schema: Schema,
      /** Items whose data may go to the hub: all, less the closed ones that the provider does not store there. */
      items: Type.Array(Type.String()),
      /** Whether the hub keeps the rows for query and later receivers, or only passes them on. */
      keep: Type.Enum(['store', 'relay']),
      scope: Type.Optional(Type.String()),
    }),
  ),
  /** Resources of its agency that it may not supply now, at most 200: why, who must act, and how. */
  withheld: Type.Optional(Type.Array(Type.Object({ resource: Type.String(), reason: Localized, next: Localized }))),
  receive: Type.Array(
    Type.Object({
      route: Type.String(),
      grant: Type.String(),
      schema: Schema,
      /** Items delivered: granted, not closed, and the key. */
      items: Type.Array(Type.String()),
      /** How items of these come masked, by id (derived.ts): the hub's countersignature stands in the place of the provider's. */
      masks: Type.Optional(Type.Record(Type.String(), AnyMask)),
      /** Public keys of the provider, with the epochs for which each counts. */
      keys: Type.Array(
        Type.Object({ key: Type.String(), from: Type.Integer({ minimum: 1 }), to: Type.Optional(Type.Integer({ minimum: 1 })) }),
      ),
      expires: Type.Optional(Type.String()),
      /** Code of the data standard that the resource follows. */
      standard: Type.Optional(Type.String()),
      /** Resources of the standard fill one table: the source agency is part of its key. */
      shared: Type.Optional(Type.Boolean()),
    }),
  ),
  /** Routes whose grant has ended for good, with what becomes of the delivered data; until the receiver's removal receipt is in. */
  ended: Type.Optional(
    Type.Array(
      Type.Object({
        route: Type.String(),
        grant: Type.String(),
        resource: Type.String(),
        /** Name of the delivered table as the schema gives it. */
        table: Type.Optional(Type.String()),
        data: Type.Enum(['keep', 'remove']),
      }),
    ),
  ),
  /** Routes that get nothing now, newest first, at most 200, and why. */
  stopped: Type.Optional(Type.Array(Type.Object({ route: Type.String(), resource: Type.String(), ...stop }))),
})
export type Policy = Static<typeof Policy>
export type Withheld = NonNullable<Policy['withheld']>[number]
export type Supply = Policy['supply'][number]
export type Receive = Policy['receive'][number]
export type StoppedRoute = NonNullable<Policy['stopped']>[number]
export type RouteStop = Omit<StoppedRoute, 'route' | 'resource'>
export type EndedRoute = NonNullable<Policy['ended']>[number]

const policyShape = Compile(Policy)

export function signPolicy(policy: Policy, hubKey: SigningKey): string {
  return signStatement(hubKey, 'qz-policy', policy)
}

/**
 * Opens a policy: signed by the pinned hub key (QZ-POLICY-SIGNATURE), for this agent, and not older than what is known
 * (QZ-POLICY-OLD). Expiry is judged when the policy is used: see `policyExpired`.
 */
export function openPolicy(jws: string, hubKey: string, agent: string, knownSerial: number): Policy {
  const policy = verifyStatement(jws, 'qz-policy', hubKey)
  if (policy === undefined || !policyShape.Check(policy) || policy.agent !== agent) throw new QianzhiError('QZ-POLICY-SIGNATURE')
  if (policy.serial < knownSerial) throw new QianzhiError('QZ-POLICY-OLD', { serial: policy.serial, known: knownSerial })
  return policy
}

/** Why a route gets nothing, since when and by whom as far as that is known; what is to be done is left to be told beside it. */
export function stopText({ reason, because, since, by }: RouteStop, timeZone?: string): LocalizedText {
  const known = [...(since === undefined ? [] : [localTime(new Date(since), timeZone)]), ...(by === undefined ? [] : [by])]
  const at = { zh: known.length > 0 ? `（${known.join('，')}）` : '', en: known.length > 0 ? ` (${known.join(', ')})` : '' }
  const why = because === undefined ? { zh: '', en: '' } : { zh: `：${inLanguage(because, 'zh')}`, en: `: ${inLanguage(because, 'en')}` }
  return { zh: reason.zh + at.zh + why.zh, en: reason.en + at.en + why.en }
}

export function policyExpired(policy: Policy, now: Date): boolean {
  return !(Date.parse(policy.expires) > now.getTime())
}

/** Throws QZ-POLICY-EXPIRED. */
export function requireCurrent(policy: Policy, now: Date): Policy {
  if (policyExpired(policy, now)) throw new QianzhiError('QZ-POLICY-EXPIRED', { expires: policy.expires })
  return policy
}
