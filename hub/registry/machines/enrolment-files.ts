import type { EnrolToken } from '../../../protocol/api.ts'
import type { Principal } from '../../access/principal.ts'
import { writeWorkbook } from '../../../protocol/excel/write.ts'
import { addToken } from './enrolment.ts'
import { change, type Registry } from '../../records/registry.ts'
import { tokenText } from './token-text.ts'

/** What an agency's IT is given: a file whose content `qianzhi-agent enroll` takes. */
export interface EnrolmentFile {
  agency: string
  name: string
  file: string
  content: string
  expires: Date
}

/** One enrolment token for each of many agencies, all or none; shown this once. Throws QZ-NOT-FOUND, QZ-STATE for a closed agency. */
export async function enrolmentFiles(
  registry: Registry,
  principal: Principal,
  agencies: readonly string[],
  hours: number,
  address: Omit<EnrolToken, 'secret'>,
): Promise<EnrolmentFile[]> {
  const expires = new Date(registry.clock().getTime() + hours * 3_600_000)
  return change(registry, async (query) => {
    const files: EnrolmentFile[] = []
    for (const agency of new Set(agencies)) {
      const { name, secret } = await addToken(query, principal, agency, expires)
      files.push({ agency, name, file: `${agency}.token`, content: `${tokenText(address, secret)}\n`, expires })
    }
    return files
  })
}

export function enrolmentWorkbook(files: readonly EnrolmentFile[]): Promise<Buffer> {
  const columns = [
    { header: '单位代码', width: 20 },
    { header: '单位名称', width: 30 },
    { header: '文件名', width: 24 },
    { header: '登记令牌（qianzhi-agent enroll 令牌）', width: 100 },
    { header: '有效期至', width: 26 },
  ]
  const rows = files.map(({ agency, name, file, content, expires }) => [agency, name, file, content.trim(), expires.toISOString()])
  return writeWorkbook({ sheets: [{ name: '登记令牌 Tokens', columns, rows }] })
}
