import t from 'tap'
import { refusals } from '../../../agent/operator/findings.ts'
import { refusalText } from '../../../agent/operator/refusal-texts.ts'

const key = (key: string[], more: object = {}) =>
  ({ key, code: 'QZ-ROW-REFUSED', op: 'u' as const, end: 'sink' as const, position: null, time: '', ...more }) as never

t.test('what the hub would refuse as a text is shown, not repeated', async (t) => {
  const [refused] = refusals([key(['a\0b', '\ud800']), key([`${'x'.repeat(199)}𠮷`])], [])
  t.same(refused, { code: 'QZ-ROW-REFUSED', keys: 2, examples: [['a␀b', '�'], [`${'x'.repeat(199)}�`]], reasons: [] })
})

t.test('a refusal tells the constraint and the item of the column that it names, and nothing of ours that holds a value', async (t) => {
  const columns = [{ column: 'XM', item: { id: 'name' } }] as never
  const told = refusals(
    [
      key(['1'], { reason: `Data too long for column 'xm' at row 1` }),
      key(['2'], { reason: `Data too long for column 'xm' at row 2` }),
      key(['3'], { reason: 'new row for relation "t" violates check constraint "adult"' }),
      key(['4'], { reason: { zh: '列 a 改变了值，读回为：secret', en: 'column a changed: secret' } }),
      key(['5'], { reason: 'raised by hand: secret' }),
    ],
    columns,
  )
  t.match(told, [
    { item: 'name', keys: 2, reasons: [`Data too long for column 'xm'`] },
    { keys: 3, reasons: ['new row for relation "t" violates check constraint "adult"'] },
  ])
  t.notOk('item' in told[1]!)
  t.notMatch(JSON.stringify(told), 'secret')
})

t.test('servers say why in their own words: names are kept, values are not', async (t) => {
  for (const [said, text, column] of [
    ['new row for relation "t" violates check constraint "c"', undefined, undefined],
    ['duplicate key value violates unique constraint "c"', undefined, undefined],
    ['insert or update on table "t" violates foreign key constraint "c"', undefined, undefined],
    ['null value in column "XM" of relation "t" violates not-null constraint', undefined, 'XM'],
    ['value too long for type character varying(20)', undefined, undefined],
    [`Duplicate entry 'geheim' for key 't.c'`, `Duplicate entry for key 't.c'`, undefined],
    [`Duplicate entry 'geheim' for key 'x' for key 'c'`, `Duplicate entry for key 'c'`, undefined],
    [`Column 'XM' cannot be null`, undefined, 'XM'],
    [`Incorrect string value: 'geheim' for column \`d\`.\`t\`.\`XM\` at row 1`, 'Incorrect string value for column `d`.`t`.`XM`', 'XM'],
    [`Check constraint 'c' is violated.`, `Check constraint 'c' is violated`, undefined],
    ['CONSTRAINT `c` failed for `d`.`t`', undefined, undefined],
    [
      'Cannot add or update a child row: a foreign key constraint fails (`d`.`t`, CONSTRAINT `c` FOREIGN KEY (`XM`) REFERENCES `u` (`id`))',
      'Cannot add or update a child row: a foreign key constraint fails (`d`.`t`, CONSTRAINT `c` FOREIGN KEY (`XM`) REFERENCES `u`',
      undefined,
    ],
    [
      `Violation of UNIQUE KEY constraint 'c'. Cannot insert duplicate key in object 'dbo.t'. The duplicate key value is (geheim).`,
      `Violation of UNIQUE KEY constraint 'c'`,
      undefined,
    ],
    [
      'The INSERT statement conflicted with the CHECK constraint "c". The conflict occurred in database "d", table "dbo.t", column \'XM\'.',
      'The INSERT statement conflicted with the CHECK constraint "c"',
      undefined,
    ],
    [
      `String or binary data would be truncated in table 'd.dbo.t', column 'XM'. Truncated value: 'geheim'.`,
      `String or binary data would be truncated in table 'd.dbo.t', column 'XM'`,
      'XM',
    ],
    [
      'ORA-00001: unique constraint (S.C) violated on table S.T columns (ID)\nORA-03301: (ORA-00001 details) row with column values (ID:geheim) already exists',
      'ORA-00001: unique constraint (S.C) violated',
      undefined,
    ],
    ['ORA-01400: cannot insert NULL into ("S"."T"."XM")\nHelp: https://x', 'ORA-01400: cannot insert NULL into ("S"."T"."XM")', 'XM'],
    ['ORA-02290: check constraint (S.C) violated', undefined, undefined],
    [
      'ORA-12899: value too large for column "S"."T"."XM" (actual: 30, maximum: 20)',
      'ORA-12899: value too large for column "S"."T"."XM"',
      'XM',
    ],
    ['NOT NULL constraint failed: t.XM', undefined, 'XM'],
    ['UNIQUE constraint failed: t.a, t.b', undefined, undefined],
    ['CHECK constraint failed: amount > 0', undefined, undefined],
  ] as const)
    t.same(refusalText(said), { text: text ?? said, ...(column && { column }) }, said)
  for (const said of [
    'invalid input syntax for type integer: "geheim"',
    `Duplicate entry 'geheim`,
    'geheim violates check constraint "c"',
    'ORA-20001: geheim',
  ])
    t.equal(refusalText(said), undefined, said)
})
