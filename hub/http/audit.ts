import { Readable } from 'node:stream'
import { Type } from 'typebox'
import type { Services } from '../operations/services.ts'
import { writeAudit } from '../records/audit.ts'
import type { Registry } from '../records/registry.ts'
import type { Api } from './server.ts'

const number = Type.String({ pattern: '^[1-9][0-9]{0,14}$' })
const Range = Type.Object({ from: Type.Optional(number), to: Type.Optional(number) }, { additionalProperties: false })

/** The audit as JSON lines, streamed; behind the admin key. That it was taken is on record, too. */
export function auditRoutes(registry: Registry, exportAudit: Services['exportAudit']): Api {
  return async (app) => {
    app.get('/admin/v1/audit/export', { schema: { querystring: Range } }, async (request, reply) => {
      const { from, to } = request.query
      const range = { ...(from && { from: Number(from) }), ...(to && { to: Number(to) }) }
      await writeAudit(registry.store.query, { actor: 'admin', ip: request.ip, act: 'audit.export', object: 'audit', details: range })
      return reply.type('application/jsonl').send(Readable.from(await exportAudit(range)))
    })
  }
}
