import type { Access } from '../access/access.ts'
import { activationLink, inviteFirst } from '../registry/people/invitations.ts'
import type { Registry } from '../records/registry.ts'
import type { Api } from './server.ts'

export const firstAdminPath = '/admin/v1/first-admin'

/** A new link for the first administrator while there is none; behind the admin key. */
export function firstAdminRoutes(registry: Registry, { rules }: Access, hub: () => string): Api {
  return async (app) => {
    app.post(firstAdminPath, async () => {
      const invitation = await inviteFirst(registry, rules)
      return { link: activationLink(hub(), invitation!.secret), expires: invitation!.expires }
    })
  }
}
