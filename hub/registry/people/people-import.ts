import { QianzhiError } from '../../../protocol/errors.ts'
import type { LocalizedText } from '../../../protocol/localized.ts'
import { activationLink } from './invitations.ts'
import { isLogin, loginRule } from '../../access/login.ts'
import type { Principal } from '../../access/principal.ts'
import type { AccessRules } from '../../access/settings.ts'
import { readWorkbookOrCsv } from '../../../protocol/excel/csv.ts'
import { refuseFaults } from '../../../protocol/excel/faults.ts'
import { readTable, type TableColumn, type TableRow } from '../../../protocol/excel/table.ts'
import { writeWorkbook } from '../../../protocol/excel/write.ts'
import type { Query } from '../../store/store.ts'
import { roleNames, roles, type Role } from '../../records/roles.ts'
import { addPerson, inviteAgain, putRoles, readPerson, updatePerson, type Invited, type Person } from './people.ts'
import { changeOrRehearse, type Registry } from '../../records/registry.ts'
import { changesOf, type Change } from '../changes.ts'

type Key = 'agency' | 'login' | 'name' | 'email' | 'phone' | 'roles'

const columns: readonly TableColumn<Key>[] = [
  { key: 'agency', headers: ['单位代码', 'Agency code'], required: true },
  { key: 'login', headers: ['登录名', 'Login name'], required: true },
  { key: 'name', headers: ['姓名', 'Name'], required: true },
  { key: 'email', headers: ['电子邮箱', 'E-mail'] },
  { key: 'phone', headers: ['电话', 'Telephone'] },
  { key: 'roles', headers: ['角色', 'Roles'] },
]

const roleByName = new Map(
  roleNames.flatMap((role) => [role, roles[role].zh, roles[role].en].map((name) => [name.toLowerCase(), role] as const)),
)

const rolesNote: LocalizedText = {
  zh: `以、分隔：${roleNames.map((role) => roles[role].zh).join('、')}。由安全管理员以同一文件分配`,
  en: `separated by commas: ${roleNames.join(', ')}; the security administrator gives them by the same file`,
}

/** The roles that a cell names; a name that is none stands among `unknown`. */
function rolesOf(cell: string | null): { given: Role[]; unknown: string[] } {
  const names = (cell ?? '')
    .split(/[、,\uff0c;\uff1b]/)
    .map((name) => name.trim())
    .filter((name) => name !== '')
  const given = names.flatMap((name) => roleByName.get(name.toLowerCase()) ?? [])
  return { given: [...new Set(given)], unknown: names.filter((name) => !roleByName.has(name.toLowerCase())) }
}

/** An empty workbook with the columns of the import, and the agencies to choose from. */
export async function peopleTemplate({ store }: Registry): Promise<Buffer> {
  const agencies = await store.query<{ code: string }>(`select code from agency where state = 'active' order by code`)
  return writeWorkbook({
    sheets: [
      {
        name: '人员 People',
        columns: columns.map(({ key, headers: [zh], required }) => ({
          header: required ? `${zh}*` : zh,
          width: 24,
          ...(key === 'agency' && { list: agencies.map(({ code }) => code) }),
          ...(key === 'roles' && { note: rolesNote }),
        })),
        rows: [],
      },
    ],
  })
}

type Row = TableRow<Key>

/** What became of a line of the file. */
export interface ImportedPerson {
  row: number
  agency: string
  login: string
  name: string
  outcome: 'created' | 'changed' | 'unchanged' | 'invited'
  changes: Change[]
  roles: Role[]
  link: string | null
  expires: Date | null
}

export interface PeopleImport {
  rules: AccessRules
  /** Where links lead. */
  hub: string
  /** Also a new link for whoever has not used theirs. */
  relink: boolean
  /** Only says what it would do: there are no links then. */
  only?: 'check' | undefined
}

/**
 * Makes the people of a workbook, invited and without roles (`importRoles`); changes names, e-mail and telephone of those that are there. All
 * or nothing, every fault named with its cell; the same file again changes nothing.
 * @returns of each line what became of it, with the activation links of those who are new, which are shown this once. Throws QZ-EXCEL.
 */
export async function importPeople(registry: Registry, principal: Principal, file: Buffer, how: PeopleImport): Promise<ImportedPerson[]> {
  const { rows, faults } = await readRows(file)
  const done = await changeOrRehearse(registry, how.only, async (query) => {
    await checkRows(query, rows, faults)
    refuseFaults(faults)
    const lines: ImportedPerson[] = []
    for (const row of rows) lines.push(await importPerson(query, registry, principal, row, how))
    return lines
  })
  return how.only === 'check' ? done.map((line) => ({ ...line, link: null, expires: null })) : done
}

async function importPerson(
  query: Query,
  registry: Registry,
  principal: Principal,
  { number: row, values }: Row,
  how: PeopleImport,
): Promise<ImportedPerson> {
  const { agency, login, name, email, phone } = values
  const [there] = await query<{ id: string; state: string }>('select id, state from person where login = $1', [login!.toLowerCase()])
  const given = { name: name!, ...(email !== null && { email }), ...(phone !== null && { phone }) }
  const now = registry.clock()
  const of = ({ person, invitation }: Invited, outcome: ImportedPerson['outcome']): ImportedPerson => ({
    ...lineOf(row, person, outcome, []),
    link: activationLink(how.hub, invitation.secret),
    expires: invitation.expires,
  })
  if (!there) return of(await addPerson(query, how.rules, principal, { agency: agency!, login: login!, ...given }, [], now), 'created')
  const before = await readPerson(query, there.id)
  const person = await updatePerson(query, principal, there.id, given)
  if (how.relink && there.state === 'invited') return of(await inviteAgain(query, how.rules, principal, person, now), 'invited')
  return changedLine(row, before, person)
}

function changedLine(row: number, before: Person, after: Person): ImportedPerson {
  const changes = changesOf(before, after, ['name', 'email', 'phone', 'roles'])
  return lineOf(row, after, changes.length > 0 ? 'changed' : 'unchanged', changes)
}

function lineOf(row: number, person: Person, outcome: ImportedPerson['outcome'], changes: Change[]): ImportedPerson {
  const { agency, login, name, roles: held } = person
  return { row, agency, login, name, outcome, changes, roles: held, link: null, expires: null }
}

/**
 * Gives the people of a workbook exactly the roles that it names, by whoever gives roles; a blank cell changes nothing. All or nothing.
 * `only: 'check'`: says what it would do, and does nothing. Throws QZ-EXCEL.
 */
export async function importRoles(registry: Registry, principal: Principal, file: Buffer, only?: 'check'): Promise<ImportedPerson[]> {
  const { rows, faults } = await readRows(file)
  return changeOrRehearse(registry, only, async (query) => {
    const done: ImportedPerson[] = []
    for (const { number: row, values, fault } of rows) {
      const [there] = await query<{ id: string }>('select id from person where login = $1', [values.login!.toLowerCase()])
      const { given, unknown } = rolesOf(values.roles)
      if (!there) faults.push(fault('login', '没有此人员', 'there is no such person'))
      for (const name of unknown) faults.push(fault('roles', `没有角色“${name}”`, `there is no role "${name}"`))
      if (!there || unknown.length > 0) continue
      const before = await readPerson(query, there.id)
      try {
        const person = values.roles === null ? before : await putRoles(query, principal, there.id, given)
        done.push(changedLine(row, before, person))
      } catch (error) {
        if (!(error instanceof QianzhiError)) throw error
        faults.push(fault('roles', error.text('zh'), error.text('en')))
      }
    }
    refuseFaults(faults)
    return done
  })
}

async function readRows(file: Buffer): Promise<{ rows: Row[]; faults: QianzhiError[] }> {
  const faults: QianzhiError[] = []
  const workbook = await readWorkbookOrCsv(file, { rows: 20_000 })
  try {
    const rows = await Array.fromAsync(readTable(workbook, columns, { onFault: (fault) => faults.push(fault) }))
    return { rows, faults }
  } finally {
    workbook.close()
  }
}

async function checkRows(query: Query, rows: readonly Row[], faults: QianzhiError[]): Promise<void> {
  const active = await query<{ code: string }>(`select code from agency where state = 'active'`)
  const agencies = new Set(active.map(({ code }) => code))
  const people = await query<{ login: string; agency: string; state: string }>('select login, agency, state from person')
  const known = new Map(people.map((person) => [person.login, person]))
  const logins = new Set<string>()
  for (const { values, fault } of rows) {
    const { agency, name, email, phone } = values
    const login = values.login!.toLowerCase()
    const there = known.get(login)
    if (!agencies.has(agency!)) faults.push(fault('agency', `没有在用的单位 ${agency}`, `there is no active agency ${agency}`))
    if (logins.has(login)) faults.push(fault('login', '登录名重复', 'the login name stands here twice'))
    logins.add(login)
    if (!isLogin(login)) faults.push(fault('login', loginRule.zh, loginRule.en))
    if (there && there.agency !== agency) faults.push(fault('login', '该登录名已属于另一单位', 'the login name belongs to another agency'))
    if (there?.state === 'disabled') faults.push(fault('login', '该人员已停用', 'the person is disabled'))
    if (name!.length > 100) faults.push(fault('name', '超过 100 个字符', 'over 100 characters'))
    if (email !== null && (!/^[^@\s]+@[^@\s]+$/.test(email) || email.length > 200))
      faults.push(fault('email', '不是邮箱地址', 'no e-mail address'))
    for (const unknown of rolesOf(values.roles).unknown)
      faults.push(fault('roles', `没有角色“${unknown}”`, `there is no role "${unknown}"`))
    if (phone !== null && phone.length > 40) faults.push(fault('phone', '超过 40 个字符', 'over 40 characters'))
  }
}

const outcomes: Record<ImportedPerson['outcome'], LocalizedText> = {
  created: { zh: '新增', en: 'created' },
  changed: { zh: '已更改', en: 'changed' },
  unchanged: { zh: '未变', en: 'unchanged' },
  invited: { zh: '已重新生成链接', en: 'new link' },
}

/** The lines as a workbook, links to be handed over one by one. */
export function importedWorkbook(lines: readonly ImportedPerson[]): Promise<Buffer> {
  const headers = ['行', '单位代码', '登录名', '姓名', '结果', '角色', '激活链接（请单独交给本人）', '有效期至']
  return writeWorkbook({
    sheets: [
      {
        name: '导入结果 Outcome',
        columns: headers.map((header, at) => ({ header, width: at === 6 ? 80 : 24 })),
        rows: lines.map(({ row, agency, login, name, outcome, roles: held, link, expires }) => [
          String(row),
          agency,
          login,
          name,
          outcomes[outcome].zh,
          held.map((role) => roles[role].zh).join('、'),
          link,
          expires?.toISOString() ?? null,
        ]),
      },
    ],
  })
}
