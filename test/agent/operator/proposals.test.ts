import t from 'tap'
import { assumptions, proposeColumns, worthSampling } from '../../../agent/operator/proposals.ts'
import type { ColumnDescription, Row } from '../../../agent/database.ts'
import type { ValueLimits } from '../../../protocol/value.ts'

const column = (name: string, comment: string, proposal?: ValueLimits): ColumnDescription => ({
  column: name,
  type: 'x',
  nullable: true,
  key: false,
  comment,
  ...(proposal && { proposal }),
})
const text: ValueLimits = { type: 'text', length: 50 }

const usccs = ['91350100M000100Y43', '91110108551385082Q', '91441900PDY0001750', '91310115MA1G4L1WX7', '91350100M000100Y43']
const organisations = ['085948158', 'PDY00001X', 'PDY000060', '551385082', 'M000100Y4']
const numbers = ['440301108548379', '310115600985533', '441900000000070', '440301108548387', '310115600985541']
const cards = ['11010519491231002X', '440524188001010014', '44190019850512004X']

t.test('only texts and integers are worth sampling', async (t) => {
  const columns = [column('a', '', text), column('b', '', { type: 'integer' }), column('c', '', { type: 'date' }), column('d', '')]
  t.same(worthSampling(columns), ['a', 'b'])
})

t.test('roles by the words of comment or name, and by type', async (t) => {
  const role = (name: string, comment: string, proposal: ValueLimits | undefined = text) =>
    proposeColumns([column(name, comment, proposal)], [], [])[0]!.role
  for (const [name, comment, wanted] of [
    ['a', '统一社会信用代码', 'uscc'],
    ['a', '组织机构代码', 'organisation-code'],
    ['a', '社会组织登记号', 'social-registration-number'],
    ['a', '工商企业注册号', 'registration-number'],
    ['a', '企业注册号', 'registration-number'],
    ['a', '批准文号', 'approval-number'],
    ['a', '身份证件类型', 'certificate-type'],
    ['a', '身份证件号码', 'certificate-number'],
    ['a', '法定代表人姓名', 'person-name'],
    ['a', '实施机关', 'implementing-agency'],
    ['a', '发证机关', 'issuing-authority'],
    ['a', '企业名称', 'institution-name'],
    ['FZJG', '', 'issuing-authority'],
    ['a', '备注', undefined],
  ] as const) {
    t.equal(role(name, comment), wanted, comment || name)
  }
  t.equal(role('a', '发证时间', { type: 'date' }), 'issued-at')
  t.equal(role('a', '有效期至', { type: 'timestamp' }), 'valid-until')
  t.equal(role('a', '有效期', text), 'valid-until', '长期 is a text')
  for (const [name, comment] of [
    ['valid_from', ''],
    ['valid_from', '有效期'],
    ['a', '有效期起'],
    ['a', '有效期自'],
    ['a', '有效期起始日期'],
    ['a', '有效期起止'],
    ['valid_start', '有效期开始时间'],
    ['YXQQ', ''],
    ['yxqs', ''],
    ['start_date', ''],
  ] as const)
    t.equal(role(name, comment, { type: 'date' }), undefined, `${name} ${comment} is no end`)
  for (const [name, comment] of [
    ['valid_to', ''],
    ['validUntil', ''],
    ['expiry_date', ''],
    ['valid_end', ''],
    ['a', '有效期止'],
    ['a', '有效期截止日期'],
    ['a', '失效日期'],
    ['YXQZ', ''],
  ] as const)
    t.equal(role(name, comment, { type: 'date' }), 'valid-until', `${name} ${comment}`)
  t.equal(role('a', '姓名', { type: 'date' }), undefined, 'a date is no name')
  t.equal(proposeColumns([column('a', '姓名')], [], [])[0]!.role, undefined, 'what cannot be supplied has no role')
})

t.test('identifiers are recognised in samples, of which nothing is told', async (t) => {
  const columns = [column('u', '', text), column('o', '', text), column('n', '', { type: 'integer' }), column('x', '企业名称', text)]
  const rows: Row[] = Array.from({ length: 10 }, (_, i) => [
    [...usccs, ...usccs][i]!,
    [...organisations, ...organisations][i]!,
    [...numbers, ...numbers][i]!,
    `企业 ${i}`,
  ])
  const proposed = proposeColumns(columns, ['u', 'o', 'n', 'x'], rows)
  t.equal(proposed[0]!.check, undefined, 'four different ones are too few')
  t.match(proposed[1], { role: 'organisation-code', check: { kind: 'organisation-code' } })
  t.equal(proposed[2]!.role, 'registration-number')
  t.equal(proposed[2]!.check, undefined, 'only text has a check')
  t.match(proposed[3], { role: 'institution-name', check: undefined })
  for (const value of rows.flat()) t.notMatch(JSON.stringify(proposed), value!)
})

t.test('an identity number counts among the identity cards, where a column says which they are', async (t) => {
  const columns = [column('lx', '证件类型', text), column('hm', '号码', text)]
  const five = [...cards, '110105194912310127', '110105194912310143'].map((number) => ['居民身份证', fixed(number)])
  const passports = Array.from({ length: 20 }, (_, i) => ['护照', `E${10_000_000 + i}`])
  const proposed = proposeColumns(columns, ['lx', 'hm'], [...five, ...passports])
  t.match(proposed[0], { role: 'certificate-type' })
  t.match(proposed[1], { role: 'certificate-number', check: { kind: 'identity-number', when: 'lx' } })
  t.equal(
    proposeColumns(
      [columns[1]!],
      ['hm'],
      [...five, ...passports].map(([, number]) => [number!]),
    )[0]!.check,
    undefined,
  )
  const alone = proposeColumns(
    [columns[1]!],
    ['hm'],
    five.map(([, number]) => [number!]),
  )[0]!
  t.same(alone.check, { kind: 'identity-number' })
})

t.test('where values tell too little the name proposes the check, unless most of them deny it', async (t) => {
  const check = (columns: ColumnDescription[], rows: Row[]) =>
    proposeColumns(
      columns,
      columns.map(({ column: name }) => name),
      rows,
    ).at(-1)!.check
  const credit = [column('c', '统一社会信用代码', text)]
  t.same(check(credit, []), { kind: 'uscc' }, 'an empty table')
  t.same(check(credit, [[usccs[0]!], ['']]), { kind: 'uscc' }, 'few')
  t.same(check(credit, [[usccs[0]!], ['×'], ['×']]), undefined, 'most are none')
  t.same(check([column('sfzh', '', text)], []), { kind: 'identity-number' })
  t.same(check([column('zjhm', '证件号码', text)], []), undefined, 'of which kind nobody says')
  t.same(check([column('lx', '证件类型', text), column('zjhm', '证件号码', text)], []), { kind: 'identity-number', when: 'lx' })
  t.same(check([column('sfzh', '', { type: 'integer' })], []), undefined, 'only text has a check')
})

t.test('a small number is a boolean only as far as its values say, and that is told', async (t) => {
  const flags = ['tinyint(1)', 'NUMBER(1,0)', 'boolean'].map((type, i) => ({ ...column(`f${i}`, '', { type: 'boolean' }), type }))
  t.same(worthSampling(flags), ['f0', 'f1'])
  const kept = proposeColumns(
    flags,
    ['f0', 'f1'],
    [
      ['0', '2'],
      [null, '1'],
    ],
  )
  t.same(
    kept.map(({ type }) => type?.type),
    ['boolean', 'integer', 'boolean'],
  )
  const told = assumptions(kept)
  t.equal(told.length, 1)
  t.match(told, [{ zh: /列 f0（tinyint\(1\)）按布尔/, en: /f0 \(tinyint\(1\)\) is taken for a boolean/ }])
})

/** The same number with the check character that it needs. */
function fixed(number: string): string {
  const weights = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2]
  const sum = weights.reduce((total, weight, i) => total + weight * Number(number[i]), 0)
  return number.slice(0, 17) + '10X98765432'[sum % 11]!
}
