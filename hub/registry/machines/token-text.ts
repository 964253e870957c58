import type { EnrolToken } from '../../../protocol/api.ts'

/** An enrolment token as it is handed over. */
export function tokenText(address: Omit<EnrolToken, 'secret'>, secret: string): string {
  const token: EnrolToken = { ...address, secret }
  return `qzt1.${Buffer.from(JSON.stringify(token)).toString('base64url')}`
}
