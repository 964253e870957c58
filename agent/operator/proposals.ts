import { checkIdentifier, identityCardNames, recognise, type IdentifierKind } from '../../protocol/identifiers.ts'
import type { LocalizedText } from '../../protocol/localized.ts'
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
  ['issued-at', ['发证时间', '发证日期', '颁发日期', 'fzrq', 'issue_date', 'issued_at', 'issued_on']],
  ['valid-until', ['有效期', '有效截止', '有效至', '失效日期', '失效时间', '到期日', 'yxq', ...validUntil()]],
  ['handled-at', ['办理时间', '办理日期']],
  ['matter', ['事项内容', '具体内容', '事项名称']],
  ['institution-name', ['机构名称', '单位名称', '企业名称', '法人名称', '公司名称', 'jgmc', 'qymc', 'dwmc']],
]

/** As English calls the end of a validity, in one word or two. */
function validUntil(): string[] {
  const ends = ['until', 'till', 'to', 'thru', 'through', 'end']
  return ['expir', ...['valid', 'validity'].flatMap((valid) => ends.flatMap((end) => [`${valid}${end}`, `${valid}_${end}`]))]
}

/** Words of a period's beginning: what has one of them is not its end, and a column of both is no day. Pinyin: 有效期起, 有效期始, 有效期开始. */
const beginnings = /起|始|自|生效|from|start|begin|since|yxq[qsk]/

const timeRoles: readonly SubjectRole[] = ['issued-at', 'valid-until', 'handled-at']

const roleOfIdentifier: Record<IdentifierKind, SubjectRole> = {
  uscc: 'uscc',
  'organisation-code': 'organisation-code',
  'registration-number': 'registration-number',
  'identity-number': 'certificate-number',
}

/** A number that is taken for a boolean because it is so small. */
function isSmallNumber({ type, native }: { type: string | undefined; native: string }): boolean {
  return type === 'boolean' && /^(?:tinyint|number)\b/i.test(native)
}

/** Columns of which the samples can tell something: the others need not be read. */
export function worthSampling(columns: readonly ColumnDescription[]): string[] {
  return columns.flatMap(({ column, type: native, proposal }) => {
    const type = proposal?.type
    return type === 'text' || type === 'integer' || isSmallNumber({ type, native }) ? [column] : []
  })
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
    const byWords = roleByWords(column)
    const found = (values && recogniseColumn(values, types)) ?? identifierByWords(column, byWords, values, types)
    const role = found ? roleOfIdentifier[found.kind] : byWords
    const type = typeOf(column, values)
    return {
      column: column.column,
      comment: column.comment.slice(0, 200),
      native: column.type,
      nullable: column.nullable,
      key: column.key,
      ...(type && { type }),
      ...(role && { role }),
      ...(found && column.proposal?.type === 'text' && { check: checkOf(found, typeColumn) }),
    }
  })
}

/** A small number that is seen to hold more than 0 and 1 is a code. */
function typeOf({ type: native, proposal }: ColumnDescription, values: readonly Value[] = []): ColumnDescription['proposal'] {
  const small = isSmallNumber({ type: proposal?.type, native })
  return small && values.some((value) => value !== null && value !== '0' && value !== '1') ? { type: 'integer' } : proposal
}

/** What was taken for granted of columns, for who registers them. */
export function assumptions(columns: readonly ProposedColumn[]): LocalizedText[] {
  const assumed = columns.filter(({ type, native }) => isSmallNumber({ type: type?.type, native }))
  return assumed.map(({ column, native }) => ({
    zh: `列 ${column}（${native}）按布尔（是/否）登记；如果存放的是 0、1 以外的代码，请把类型改为整数（integer）`,
    en: `column ${column} (${native}) is taken for a boolean: where it holds codes other than 0 and 1, make it an integer`,
  }))
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

/** The identifiers that roles are about whatever the values are; what kind a certificate's number is, its name must say. */
const identifierOfRole: Partial<Record<SubjectRole, IdentifierKind>> = {
  uscc: 'uscc',
  'organisation-code': 'organisation-code',
  'registration-number': 'registration-number',
  'certificate-number': 'identity-number',
}
const identityWords = /身份证号|公民身份号码|sfzh/

/** By its name, unless most of its values say otherwise: too few for them to tell by themselves, or none. */
function identifierByWords(
  column: ColumnDescription,
  role: SubjectRole | undefined,
  values: readonly Value[] = [],
  types: readonly Value[] | undefined,
): Recognised | undefined {
  const kind = role && identifierOfRole[role]
  const conditional = kind === 'identity-number' && types !== undefined
  if (!kind || (kind === 'identity-number' && !conditional && !identityWords.test(wordsOf(column)))) return undefined
  const meant = conditional ? values.filter((_, i) => identityCardNames.includes(types[i] ?? '')) : values
  const present = meant.filter((value) => value !== null && value !== '') as string[]
  const valid = present.filter((value) => checkIdentifier(kind, value) === undefined)
  return valid.length * 2 >= present.length ? { kind, conditional } : undefined
}

function checkOf({ kind, conditional }: Recognised, typeColumn: string | undefined): NonNullable<ProposedColumn['check']> {
  return conditional && typeColumn !== undefined ? { kind, when: typeColumn } : { kind }
}

function roleByWords({ column, comment, proposal }: ColumnDescription): SubjectRole | undefined {
  if (!proposal) return undefined
  const words = wordsOf({ column, comment })
  const isTime = ['date', 'timestamp', 'timestamptz'].includes(proposal.type)
  return roleWords.find(([role, named]) => {
    const fitsType = proposal.type === 'text' || (isTime && timeRoles.includes(role))
    return fitsType && named.some((word) => words.includes(word)) && !(role === 'valid-until' && beginnings.test(words))
  })?.[0]
}

function wordsOf({ column, comment }: Pick<ColumnDescription, 'column' | 'comment'>): string {
  return `${comment} ${column}`.toLowerCase()
}
