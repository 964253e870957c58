import { Type } from 'typebox'
import { writeAudit } from '../records/audit.ts'
import { change, type Registry } from '../records/registry.ts'
import { listTables, rebuildTable } from '../tables/records.ts'
import type { Api } from './server.ts'

export const rebuildPath = '/admin/v1/tables/:id/rebuild'

/** How resource tables stand, and making one anew: the operation of the machine. `note`: tells the follower. */
export function tableRoutes(registry: Registry, note: (resource: string) => void): Api {
  return async (app) => {
    app.get('/admin/v1/tables', async () => ({ items: await listTables(registry.store.query) }))
    app.post(rebuildPath, { schema: { params: Type.Object({ id: Type.String({ minLength: 1, maxLength: 64 }) }) } }, async (request) => {
      const { id } = request.params
      await change(registry, async (query) => {
        await rebuildTable(query, id)
        await writeAudit(query, { actor: 'admin', act: 'table.rebuild', object: id })
      })
      note(id)
      return { resource: id }
    })
  }
}
