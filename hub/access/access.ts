import { Passwords } from './passwords.ts'
import type { AccessRules } from './settings.ts'
import { Throttle } from './throttle.ts'

/** What signing in needs: the rules, and what a process of the hub keeps in memory for it. */
export interface Access {
  rules: AccessRules
  passwords: Passwords
  throttle: Throttle
}

export function makeAccess(rules: AccessRules): Access {
  return { rules, passwords: new Passwords(rules.password.cost), throttle: new Throttle(rules.attempts) }
}
