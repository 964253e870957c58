import { identityCardNames, recognise, type IdentifierKind } from '../../protocol/identifiers.ts'
import type { ProposedColumn } from '../../protocol/asks.ts'
import type { SubjectRole } from '../../protocol/schema.ts'
import type { Value } from '../../protocol/value.ts'
import type { ColumnDescription, Row } from '../database.ts'

/** Rows that are looked at for proposals. */
export const sampleRows = 200

/**
 * How columns are called that hold the mandatory items of Art. 6, as words of their comment or name; the first role that fits counts,
 * so longer words stand before shorter ones that are part of them.
 */
const roleWords: readonly (readonly [SubjectRole, readonly string[]])[] = [
  ['uscc', ['社会信用代码', '信用代码', 'uscc', 'tyshxydm']],
  ['organisation-code', ['组织机构代码', '机构代码', 'zzjgdm']],
  ['social-registration-number', ['社会组织登记号', '登记证号']],
  ['registration-number', ['工商注册号', '企业注册号', '注册号', 'zch']],
  ['approval-number', ['批准文号', '批文号']],
  ['certificate-type', ['证件类型', '证件类别', '证件种类', 'zjlx']],
  ['certificate-number', ['证件号码', '身份证号', '证件号', '公民身份号码', 'sfzh', 'zjhm']],
  ['person-name', ['姓名', 'xingming']],
  ['implementing-agency', ['实施机关']],
  ['issuing-authority', ['发证机关', '颁发机关', '发证单位', 'fzjg']],
  ['issued-at', ['发证时间', '发证日期', '颁发日期', 'fzrq']],
  ['valid-until', ['有效期', '有效截止', 'yxq']],
  ['handled-at', ['办理时间', '办理日期']],
  ['matter', ['事项内容', '具体内容', '事项名称']],
  ['institution-name', ['机构名称', '单位名称', '企业名称', '法人名称', '公司名称', 'jgmc', 'qymc', 'dwmc']],
]

const timeRoles: readonly SubjectRole[] = ['issued-at', 'valid-until', 'handled-at']

const roleOfIdentifier: Record<IdentifierKind, SubjectRole> = {
  uscc: 'uscc',
  'organisation-code': 'organisation-code',
  'registration-number': 'registration-number',
  'identity-number': 'certificate-number',
}

/** Columns of which the samples can tell something: the others need not be read. */
export function worthSampling(columns: readonly ColumnDescription[]): string[] {
  return columns.flatMap(({ column, proposal }) => (proposal?.type === 'text' || proposal?.type === 'integer' ? [column] : []))
}

/** Columns with what they could be registered as. `samples` are rows of the columns `sampled`; nothing of them is in the result. */
export function proposeColumns(
  columns: readonly ColumnDescription[],
  sampled: readonly string[],
  samples: readonly Row[],
): ProposedColumn[] {
  const valuesOf = (column: string): Value[] | undefined => {
    const place = sampled.indexOf(column)
    return place < 0 ? undefined : samples.map((row) => row[place]!)
  }
  const typeColumn = columns.find((column) => roleByWords(column) === 'certificate-type')?.column
  const types = typeColumn === undefined ? undefined : valuesOf(typeColumn)
  return columns.map((column) => {
    const values = valuesOf(column.column)
    const found = values && recogniseColumn(values, types)
    const role = found ? roleOfIdentifier[found.kind] : roleByWords(column)
    return {
      column: column.column,
      comment: column.comment.slice(0, 200),
      native: column.type,
      nullable: column.nullable,
      key: column.key,
      ...(column.proposal && { type: column.proposal }),
      ...(role && { role }),
      ...(found && column.proposal?.type === 'text' && { check: checkOf(found, typeColumn) }),
    }
  })
}

interface Recognised {
  kind: IdentifierKind
  /** Only among the rows whose certificate is an identity card. */
  conditional: boolean
}

/** Where a column tells the type of certificates, an identity number counts among the identity cards. */
function recogniseColumn(values: readonly Value[], types: readonly Value[] | undefined): Recognised | undefined {
  const cards = types && values.filter((_, i) => identityCardNames.includes(types[i] ?? ''))
  if (cards && recognise(cards) === 'identity-number') return { kind: 'identity-number', conditional: true }
  const kind = recognise(values)
  return kind && { kind, conditional: false }
}

function checkOf({ kind, conditional }: Recognised, typeColumn: string | undefined): NonNullable<ProposedColumn['check']> {
  return conditional && typeColumn !== undefined ? { kind, when: typeColumn } : { kind }
}

function roleByWords({ column, comment, proposal }: ColumnDescription): SubjectRole | undefined {
  if (!proposal) return undefined
  const name = column.toLowerCase()
  const isTime = ['date', 'timestamp', 'timestamptz'].includes(proposal.type)
  return roleWords.find(([role, words]) => {
    const fitsType = proposal.type === 'text' || (isTime && timeRoles.includes(role))
    return fitsType && words.some((word) => comment.includes(word) || name.includes(word))
  })?.[0]
}
