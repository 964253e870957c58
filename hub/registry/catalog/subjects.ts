import type { Item, SubjectRole } from '../../../protocol/schema.ts'
import type { LocalizedText } from '../../../protocol/localized.ts'

/** What a resource's rows are about (Art. 6). A licence 市场经营许可, 业务资质, 从业资格 is a flag beside it. */
export const subjects = ['enterprise', 'social-organisation', 'public-institution', 'person', 'other'] as const
export type Subject = (typeof subjects)[number]

/** The mandatory items' names in the regulation. */
export const roleNames: Record<SubjectRole, LocalizedText> = {
  'institution-name': { zh: '机构名称', en: 'name of the institution' },
  'registration-number': { zh: '工商企业注册号', en: 'enterprise registration number' },
  'social-registration-number': { zh: '社会组织登记号', en: 'registration number of the social organisation' },
  'organisation-code': { zh: '组织机构代码', en: 'organisation code' },
  uscc: { zh: '统一社会信用代码', en: 'unified social credit code' },
  'approval-number': { zh: '批准文号', en: 'approval number' },
  'person-name': { zh: '姓名', en: 'name of the person' },
  'certificate-type': { zh: '身份证件类型', en: 'type of the identity document' },
  'certificate-number': { zh: '身份证件号码', en: 'number of the identity document' },
  'implementing-agency': { zh: '实施机关', en: 'implementing agency' },
  'handled-at': { zh: '业务办理时间', en: 'time of handling' },
  matter: { zh: '事项具体内容', en: 'content of the matter' },
  'issuing-authority': { zh: '发证机关', en: 'issuing authority' },
  'issued-at': { zh: '发证时间', en: 'time of issue' },
  'valid-until': { zh: '有效期', en: 'validity' },
}

/** Art. 6: what every resource needs, and by its subject. */
const always: readonly SubjectRole[] = ['implementing-agency', 'handled-at']
const bySubject: Record<Subject, readonly SubjectRole[]> = {
  enterprise: ['institution-name', 'registration-number', 'organisation-code'],
  'social-organisation': ['institution-name', 'social-registration-number', 'organisation-code'],
  'public-institution': ['institution-name', 'approval-number', 'organisation-code'],
  person: ['person-name', 'certificate-type', 'certificate-number'],
  other: ['matter'],
}
const byLicence: readonly SubjectRole[] = ['issuing-authority', 'issued-at', 'valid-until']

/** Since 2015 one code stands for three numbers (GB 32100). */
const standsFor: Partial<Record<SubjectRole, readonly SubjectRole[]>> = {
  uscc: ['registration-number', 'social-registration-number', 'organisation-code'],
}

/** The roles that the items of a resource about this must fill (Art. 6). */
export function mandatoryRoles(subject: Subject, licence: boolean): SubjectRole[] {
  return [...bySubject[subject], ...(licence ? byLicence : []), ...always]
}

function filledRoles(items: readonly Pick<Item, 'role'>[]): Set<SubjectRole> {
  return new Set(items.flatMap(({ role }) => (role ? [role, ...(standsFor[role] ?? [])] : [])))
}

/** The mandatory roles that no item fills. */
export function missingRoles(subject: Subject, licence: boolean, items: readonly Pick<Item, 'role'>[]): SubjectRole[] {
  const filled = filledRoles(items)
  return mandatoryRoles(subject, licence).filter((role) => !filled.has(role))
}

/** Whether an item of this role is one that Art. 6 demands of such a resource. */
export function isMandatory(subject: Subject, licence: boolean, role: SubjectRole): boolean {
  const wanted = mandatoryRoles(subject, licence)
  return [role, ...(standsFor[role] ?? [])].some((one) => wanted.includes(one))
}

/** The subject whose own mandatory items these roles fill most, for a proposal; `other` where none is. */
export function likelySubject(items: readonly Pick<Item, 'role'>[]): Subject {
  const filled = filledRoles(items)
  const share = (subject: Subject) => bySubject[subject].filter((role) => filled.has(role)).length / bySubject[subject].length
  const best = subjects.filter((subject) => subject !== 'other').toSorted((a, b) => share(b) - share(a))[0]!
  return share(best) > 0.5 ? best : 'other'
}

/** Whether the roles of a licence are there. */
export function likelyLicence(items: readonly Pick<Item, 'role'>[]): boolean {
  const filled = filledRoles(items)
  return byLicence.filter((role) => filled.has(role)).length >= 2
}
