import type { Access } from '../access/access.ts'
import { Type } from 'typebox'
import { readmitAdministrator } from '../registry/people/people.ts'
import { activationLink, inviteFirst } from '../registry/people/invitations.ts'
import type { Registry } from '../records/registry.ts'
import type { Api } from './server.ts'

export const firstAdminPath = '/admin/v1/first-admin'
export const resetAdminPath = '/admin/v1/reset-admin'

/** A new link for the first administrator while there is none, and for one who cannot sign in any more; behind the admin key. */
export function firstAdminRoutes(registry: Registry, { rules }: Access, hub: () => string): Api {
  return async (app) => {
    app.post(firstAdminPath, async () => {
      const invitation = await inviteFirst(registry, rules)
      return { link: activationLink(hub(), invitation!.secret), expires: invitation!.expires }
    })
    app.post(
      resetAdminPath,
      { schema: { body: Type.Object({ login: Type.String({ minLength: 1, maxLength: 100 }) }) } },
      async ({ body }) => {
        const { invitation } = await readmitAdministrator(registry, rules, body.login)
        return { link: activationLink(hub(), invitation.secret), expires: invitation.expires }
      },
    )
  }
}
