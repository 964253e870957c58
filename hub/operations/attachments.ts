import { Type } from 'typebox'
import type { OperationName } from '../access/rights.ts'
import { attach, attachmentKinds, attachmentLimit, listAttachments, readAttachment, type AttachmentKind } from '../registry/attachments.ts'
import { readApplication } from '../registry/grants/applications.ts'
import { FileAnswer, operation, type Call, type Operation } from './operation.ts'
import { ById, closed, nullable } from './shapes.ts'

const Attachment = Type.Object({
  id: Type.String(),
  name: Type.String(),
  type: Type.String(),
  bytes: Type.Integer(),
  sha256: Type.String(),
  by: Type.String(),
  byName: Type.String(),
  agency: nullable(Type.String()),
  at: Type.String(),
})

const AttachmentOf = Type.Object({ ...ById.properties, attachment: Type.String({ pattern: '^[0-9]{1,18}$' }) })

/** Attachments 附件 of cases. */
export const attachmentOperations: readonly Operation[] = attachmentKinds.flatMap(operationsOf)

function operationsOf(kind: AttachmentKind): Operation[] {
  const path = `/${kind}s/:id/attachments`
  const named = (what: 'attachments' | 'attachment' | 'attach') => `${kind}.${what}` as OperationName
  return [
    operation({
      name: named('attachments'),
      method: 'GET',
      path,
      objectKind: kind,
      text: { zh: '附件', en: 'attachments' },
      params: ById,
      answer: Type.Object({
        items: Type.Array(Attachment),
        open: Type.Boolean({ description: '现在可否添加附件 whether the caller may add one now' }),
      }),
      run: async (call) => {
        await requireReadable(kind, call)
        return listAttachments(call.registry, call.principal, { kind, id: call.params.id })
      },
    }),
    operation({
      name: named('attach'),
      method: 'POST',
      path,
      objectKind: kind,
      text: { zh: '添加附件：PDF、DOCX、JPG、PNG，至多 10 MB', en: 'attach a file: PDF, DOCX, JPG, PNG; at most 10 MB' },
      params: ById,
      query: Type.Object({ name: Type.String({ minLength: 5, maxLength: 200 }) }, closed),
      upload: { type: 'application/octet-stream', limit: attachmentLimit },
      answer: Attachment,
      run: async (call) => {
        await requireReadable(kind, call)
        const { registry, principal, params, query, body } = call
        return attach(registry, principal, { kind, id: params.id }, { name: query.name, content: body as Buffer })
      },
    }),
    operation({
      name: named('attachment'),
      method: 'GET',
      path: `${path}/:attachment`,
      objectKind: kind,
      text: { zh: '下载附件', en: 'an attachment, as a file' },
      params: AttachmentOf,
      run: async (call) => {
        await requireReadable(kind, call)
        const { name, type, content } = await readAttachment(call.registry, { kind, id: call.params.id }, call.params.attachment)
        return new FileAnswer(name, type, content)
      },
    }),
  ]
}

/** What was never submitted is its own agency's alone. Throws QZ-NOT-FOUND. */
async function requireReadable(kind: AttachmentKind, { registry, principal, params }: Call<{ id: string }, any, any>): Promise<void> {
  if (kind === 'application') await readApplication(registry, params.id, principal.agency)
}
