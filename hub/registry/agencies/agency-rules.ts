import { lockAgency, nameOfAgency } from './agencies.ts'
import { documentLimit, documentType } from '../documents.ts'
import { QianzhiError } from '../../../protocol/errors.ts'
import { actedBy, type Principal } from '../../access/principal.ts'
import { notify } from '../../records/notices.ts'
import { writeAudit } from '../../records/audit.ts'
import { change, type Registry } from '../../records/registry.ts'

/** A version of an agency's internal rules for sharing (Art. 23). */
export interface RulesVersion {
  version: number
  name: string
  type: string
  bytes: number
  putBy: string
  putAt: Date
}

export const rulesLimit = documentLimit

/** Keeps a new version; those before it stay. Throws QZ-REQUEST-INVALID for anything but a PDF, DOCX or UTF-8 text. */
export async function putRules(
  registry: Registry,
  principal: Principal,
  agency: string,
  name: string,
  content: Buffer,
): Promise<RulesVersion> {
  const type = documentType(name, content, ['pdf', 'docx', 'txt'])
  return change(registry, async (query) => {
    await lockAgency(query, agency)
    const [put] = await query<{ version: number }>(
      `insert into agency_rules (agency, version, name, type, content, put_by, put_at)
       select $1, coalesce(max(version), 0) + 1, $2, $3, $4, $5, $6 from agency_rules where agency = $1 returning version`,
      [agency, name, type, content, principal.actor, registry.clock()],
    )
    const details = { version: put!.version, name, bytes: content.length }
    await writeAudit(query, { ...actedBy(principal), act: 'agency.set-rules', object: `agency ${agency}`, details })
    const agencyName = await nameOfAgency(query, agency)
    await notify(query, {
      to: { role: 'office' },
      kind: 'agency-rules',
      object: `agency ${agency}`,
      zh: `${agencyName}已报送内部管理制度第 ${put!.version} 版（第二十三条）`,
      en: `${agencyName} has put version ${put!.version} of its internal rules on file (Art. 23)`,
    })
    return (await listRules(registry, agency, query)).find(({ version }) => version === put!.version)!
  })
}

/** Newest first. */
export function listRules({ store }: Registry, agency: string, query = store.query): Promise<RulesVersion[]> {
  return query<RulesVersion>(
    `select version, name, type, length(content) as bytes, put_by as "putBy", put_at as "putAt" from agency_rules where agency = $1
     order by version desc`,
    [agency],
  )
}

/** Throws QZ-NOT-FOUND. */
export async function readRules(
  { store }: Registry,
  agency: string,
  version: number,
): Promise<{ name: string; type: string; content: Buffer }> {
  const [found] = await store.query<{ name: string; type: string; content: Buffer }>(
    `select name, type, content from agency_rules where agency = $1 and version = $2`,
    [agency, version],
  )
  if (!found)
    throw new QianzhiError('QZ-NOT-FOUND', {
      what: { zh: `${agency} 的内部制度第 ${version} 版`, en: `agency ${agency}: rules ${version}` },
    })
  return found
}
