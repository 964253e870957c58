import { Type, type Static } from 'typebox'
import { roleNames, type Role } from '../records/roles.ts'

const closed = { additionalProperties: false }
const minutes = Type.Optional(Type.Number({ minimum: 1, maximum: 100_000 }))
const whole = (minimum: number, maximum: number) => Type.Optional(Type.Integer({ minimum, maximum }))

/** The part `access:` of hub.yaml; everything has a default. */
export const AccessFile = Type.Object(
  {
    session: Type.Optional(Type.Object({ idle: minutes, longest: minutes }, closed)),
    password: Type.Optional(
      Type.Object({ length: whole(8, 64), kinds: whole(1, 4), earlier: whole(0, 24), days: whole(1, 3650), cost: whole(10, 20) }, closed),
    ),
    lock: Type.Optional(Type.Object({ failures: whole(1, 100), minutes, longest: minutes }, closed)),
    factor: Type.Optional(Type.Array(Type.Enum(roleNames), { maxItems: roleNames.length })),
    attempts: whole(1, 100_000),
    invitationHours: whole(1, 24 * 30),
  },
  closed,
)

export interface AccessRules {
  /** How long a session lives without being used, and at all, in minutes. */
  session: { idle: number; longest: number }
  /** Least characters, of how many of the four kinds; how many earlier ones may not come again; after how many days a new one is due; log2 of the KiB that a hash takes. */
  password: { length: number; kinds: number; earlier: number; days: number; cost: number }
  /** So many failures lock for so many minutes; each further failure for twice as long as the one before, up to the longest. */
  lock: { failures: number; minutes: number; longest: number }
  /** Roles that need the second factor. */
  factor: readonly Role[]
  /** Sign-ins and activations that one address may try in a minute. */
  attempts: number
  /** How long a link works by which a person sets the password. */
  invitationHours: number
}

export const defaultAccess: AccessRules = {
  session: { idle: 30, longest: 12 * 60 },
  password: { length: 10, kinds: 3, earlier: 5, days: 90, cost: 15 },
  lock: { failures: 5, minutes: 15, longest: 4 * 60 },
  factor: ['system-admin', 'security-admin', 'audit-admin', 'office', 'supervisor', 'secrecy'],
  attempts: 30,
  invitationHours: 72,
}

export function accessRules(file: Static<typeof AccessFile> = {}): AccessRules {
  const { session, password, lock } = defaultAccess
  return {
    ...defaultAccess,
    ...file,
    session: { ...session, ...file.session },
    password: { ...password, ...file.password },
    lock: { ...lock, ...file.lock },
  }
}
