import { Type, type Static } from 'typebox'
import type { Registry } from '../records/registry.ts'
import type { Role } from '../records/roles.ts'
import { deadlineKinds, readRules } from '../records/settings.ts'
import type { Services } from './services.ts'
import { nullable } from './shapes.ts'

const number = Type.Number()
const rule = Type.Object({ days: nullable(number), extension: nullable(number), warn: number })

/** Settings, as far as somebody may know them. Secrets are in none. */
export const Settings = Type.Object({
  /** Deadlines, duties, weights (Art. 14, 16, 18, 24): office, supervisors, system administrators. */
  supervision: Type.Optional(
    Type.Object({
      deadlines: Type.Object(Object.fromEntries(deadlineKinds.map((kind) => [kind, rule]))),
      duties: Type.Object({
        warnHours: Type.Object({ daily: number, weekly: number, monthly: number, quarterly: number }),
        realtime: Type.String(),
        dailyOn: Type.String(),
        realtimeMinutes: number,
      }),
      weights: Type.Object({ quantity: number, timeliness: number, use: number }),
      morningMinutes: number,
      everySeconds: number,
    }),
  ),
  /** The years of which the official calendar is known. */
  calendar: Type.Optional(Type.Object({ years: Type.Array(Type.Integer()) })),
  /** Sessions, passwords, locks: the administrators. */
  access: Type.Optional(
    Type.Object({
      session: Type.Object({ idle: number, longest: number }),
      password: Type.Object({ length: number, kinds: number, earlier: number, days: number }),
      lock: Type.Object({ failures: number, minutes: number, longest: number }),
      factor: Type.Array(Type.String()),
      attempts: number,
      invitationHours: number,
    }),
  ),
  /** How long the audit is kept. */
  audit: Type.Optional(Type.Object({ kept: Type.Literal('for ever') })),
})

const seenBy: Readonly<Record<keyof Static<typeof Settings>, readonly Role[]>> = {
  supervision: ['office', 'supervisor', 'system-admin'],
  calendar: ['office', 'supervisor', 'system-admin'],
  access: ['system-admin', 'security-admin', 'audit-admin'],
  audit: ['audit-admin', 'supervisor', 'system-admin'],
}

export async function shownSettings({ store }: Registry, { access }: Services, roles: readonly Role[]): Promise<Static<typeof Settings>> {
  const { deadlines, duties, weights, morningMinutes, everySeconds, calendar } = await readRules(store.query)
  const { session, password, lock, factor, attempts, invitationHours } = access.rules
  const { cost: _cost, ...shownPassword } = password
  const all = {
    supervision: { deadlines, duties, weights, morningMinutes, everySeconds },
    calendar: { years: [...calendar.years].toSorted((a, b) => a - b) },
    access: { session, password: shownPassword, lock, factor: [...factor], attempts, invitationHours },
    audit: { kept: 'for ever' as const },
  }
  const own = Object.entries(seenBy).flatMap(([part, may]) => (may.some((role) => roles.includes(role)) ? [part] : []))
  return Object.fromEntries(Object.entries(all).filter(([part]) => own.includes(part)))
}
