import type { QianzhiError } from '../../../protocol/errors.ts'
import { activationLink } from './invitations.ts'
import { isLogin } from '../../access/login.ts'
import type { Principal } from '../../access/principal.ts'
import type { AccessRules } from '../../access/settings.ts'
import { refuseFaults } from '../../../protocol/excel/faults.ts'
import { readWorkbook } from '../../../protocol/excel/read.ts'
import { readTable, type TableColumn, type TableRow } from '../../../protocol/excel/table.ts'
import { writeWorkbook } from '../../../protocol/excel/write.ts'
import type { Query } from '../../store/store.ts'
import { addPerson, updatePerson, type Invited } from './people.ts'
import { change, type Registry } from '../../records/registry.ts'

type Key = 'agency' | 'login' | 'name' | 'email' | 'phone'

const columns: readonly TableColumn<Key>[] = [
  { key: 'agency', headers: ['单位代码', 'Agency code'], required: true },
  { key: 'login', headers: ['登录名', 'Login name'], required: true },
  { key: 'name', headers: ['姓名', 'Name'], required: true },
  { key: 'email', headers: ['电子邮箱', 'E-mail'] },
  { key: 'phone', headers: ['电话', 'Telephone'] },
]

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
        })),
        rows: [],
      },
    ],
  })
}

type Row = TableRow<Key>

/**
 * Makes the people of a workbook, invited and without roles, which the security administrator gives; changes names, e-mail and telephone of
 * those that are there. All or nothing, every fault named with its cell; the same file again changes nothing.
 * @returns a workbook with the activation links of those who are new, which is shown this once. Throws QZ-EXCEL.
 */
export async function importPeople(
  registry: Registry,
  rules: AccessRules,
  principal: Principal,
  file: Buffer,
  hub: string,
): Promise<Buffer> {
  const { rows, faults } = await readRows(file)
  const invited = await change(registry, async (query) => {
    await checkRows(query, rows, faults)
    refuseFaults(faults)
    const added: Invited[] = []
    for (const { values } of rows) {
      const { agency, login, name, email, phone } = values
      const [there] = await query<{ id: string }>('select id from person where login = $1', [login!.toLowerCase()])
      const given = { name: name!, ...(email !== null && { email }), ...(phone !== null && { phone }) }
      if (there) await updatePerson(query, principal, there.id, given)
      else added.push(await addPerson(query, rules, principal, { agency: agency!, login: login!, ...given }, [], registry.clock()))
    }
    return added
  })
  return linksWorkbook(invited, hub)
}

async function readRows(file: Buffer): Promise<{ rows: Row[]; faults: QianzhiError[] }> {
  const faults: QianzhiError[] = []
  const workbook = await readWorkbook(file, { limits: { rows: 20_000 } })
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
    if (!isLogin(login)) faults.push(fault('login', '以字母开头,3 至 40 位字母、数字和 . _ -', 'a letter first, 3 to 40 of a-z 0-9 . _ -'))
    if (there && there.agency !== agency) faults.push(fault('login', '该登录名已属于另一单位', 'the login name belongs to another agency'))
    if (there?.state === 'disabled') faults.push(fault('login', '该人员已停用', 'the person is disabled'))
    if (name!.length > 100) faults.push(fault('name', '超过 100 个字符', 'over 100 characters'))
    if (email !== null && (!/^[^@\s]+@[^@\s]+$/.test(email) || email.length > 200))
      faults.push(fault('email', '不是邮箱地址', 'no e-mail address'))
    if (phone !== null && phone.length > 40) faults.push(fault('phone', '超过 40 个字符', 'over 40 characters'))
  }
}

function linksWorkbook(invited: readonly Invited[], hub: string): Promise<Buffer> {
  const headers = ['单位代码', '登录名', '姓名', '激活链接(请单独交给本人)', '有效期至']
  return writeWorkbook({
    sheets: [
      {
        name: '激活链接 Links',
        columns: headers.map((header, at) => ({ header, width: at === 3 ? 80 : 24 })),
        rows: invited.map(({ person, invitation }) => [
          person.agency,
          person.login,
          person.name,
          activationLink(hub, invitation.secret),
          invitation.expires.toISOString(),
        ]),
      },
    ],
  })
}
