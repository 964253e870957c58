import type { KeyObject } from 'node:crypto'
import { Passwords } from './passwords.ts'
import { Sealed } from './sealed.ts'
import type { AccessRules } from './settings.ts'
import { Throttle } from './throttle.ts'

/** What signing in needs: the rules, and what a process of the hub keeps in memory for it. */
export interface Access {
  rules: AccessRules
  passwords: Passwords
  throttle: Throttle
  /** For the secrets of second factors. */
  sealed: Sealed
}

export function makeAccess(rules: AccessRules, hubKey: KeyObject): Access {
  return { rules, passwords: new Passwords(rules.password.cost), throttle: new Throttle(rules.attempts), sealed: new Sealed(hubKey) }
}
