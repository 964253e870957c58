import type { EnrolToken } from '../../protocol/api.ts'

/** What operations need besides the registry. */
export interface Services {
  /** What enrolment tokens carry besides their secret. */
  address: () => Omit<EnrolToken, 'secret'>
  explain: (route: string) => Promise<object>
}
