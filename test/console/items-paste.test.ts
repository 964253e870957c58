/** What is pasted from a spreadsheet: cells as it writes them, headings in either language, values by their words. */
import fc from 'fast-check'
import t from 'tap'
import { consoleMeta } from '../../hub/console/build-meta.ts'
import { cellsOf, looksLikeTable, takeIn, type Draft } from '../../hub/console/src/items-paste.ts'

const { operations, values } = consoleMeta()
const entry = operations['registration.change']!.body!.find(({ name }) => name === 'content')!.fields!
const fields = entry.find(({ name }) => name === 'items')!.fields!.filter(({ input }) => !['group', 'rows', 'other'].includes(input))
const place = { row: 0, column: 0 }

/** As spreadsheets write the clipboard: a cell with a tab, a line end or a quotation mark stands in such marks, which double. */
const written = (rows: readonly (readonly string[])[], end: string) =>
  rows.map((cells) => cells.map((cell) => (/[\t\r\n"]/.test(cell) ? `"${cell.split('"').join('""')}"` : cell)).join('\t') + end).join('')

t.test('cells come back as they were', async (t) => {
  const cell = fc.oneof(fc.string(), fc.constantFrom('', '"', 'a\tb', 'line\nline', '\u6570\u636e', '""', 'x"y', ' '))
  const table = fc
    .integer({ min: 1, max: 5 })
    .chain((width) => fc.array(fc.array(cell, { minLength: width, maxLength: width }), { minLength: 1, maxLength: 8 }))
  fc.assert(
    fc.property(table, fc.constantFrom('\n', '\r\n'), (rows, end) => {
      const text = written(rows, end)
      if (rows.length === 1 && rows[0]!.join('') === '') return
      t.strictSame(cellsOf(text), rows, JSON.stringify(text))
    }),
    { numRuns: 300 },
  )
})

t.test('one text is no table', async (t) => {
  for (const text of ['', 'name', 'name\n', '\u540d\u79f0\r\n']) t.notOk(looksLikeTable(text), JSON.stringify(text))
  for (const text of ['a\tb', 'a\nb', 'a\n\nb']) t.ok(looksLikeTable(text), JSON.stringify(text))
})

t.test('under headings: by id what is there, and what is new; in either language', async (t) => {
  for (const language of ['zh', 'en'] as const) {
    const head = ['id', 'label', 'type', 'length', 'key', 'openness'].map(
      (name) => fields.find((field) => field.name === name)!.text[language],
    )
    const say = (member: string, value: string) => values[member]![value]![language]
    const yes = language === 'zh' ? '\u662f' : 'yes'
    const cells = [
      head,
      ['code', 'Code', say('type', 'text'), '12', yes, say('openness', 'public')],
      ['born', 'Born', say('type', 'date'), '', '', say('openness', 'closed')],
    ]
    const standing: Draft[] = [
      { id: 'name', label: 'Name' },
      { id: 'code', label: 'old', description: 'kept' },
    ]
    const { items, notUnderstood } = takeIn(standing, cells, place, fields, values)
    t.same(notUnderstood, [])
    t.same(items, [
      { id: 'name', label: 'Name' },
      { id: 'code', label: 'Code', description: 'kept', type: 'text', length: 12, key: true, openness: 'public' },
      { id: 'born', label: 'Born', type: 'date', length: undefined, key: false, openness: 'closed' },
    ])
    t.same(standing[1], { id: 'code', label: 'old', description: 'kept' }, 'what stood is not touched')
  }
})

t.test('without headings: from the place on; what is not known is told and changes nothing', async (t) => {
  const column = fields.findIndex(({ name }) => name === 'type')
  const standing: Draft[] = [
    { id: 'a', type: 'date' },
    { id: 'b', type: 'date', length: 3 },
  ]
  const { items, notUnderstood } = takeIn(
    standing,
    [
      ['varchar2', 'x'],
      ['text', '7'],
    ],
    { row: 1, column },
    fields,
    values,
  )
  t.same(items, [
    { id: 'a', type: 'date' },
    { id: 'b', type: 'date', length: 3 },
    { openness: 'internal', type: 'text', length: 7 },
  ])
  t.same(
    notUnderstood.map(({ row, field, text }) => [row, field.name, text]),
    [
      [1, 'type', 'varchar2'],
      [1, 'length', 'x'],
    ],
  )
})

t.test('each choice by its code and its words', async (t) => {
  for (const field of fields.filter(({ input }) => input === 'choice')) {
    for (const choice of field.choices!) {
      const { zh, en } = values[field.name]![choice]!
      for (const text of [choice, zh, en]) {
        const column = fields.indexOf(field)
        const { items } = takeIn([], [[text, '']], { row: 0, column }, fields, values)
        t.equal(items[0]![field.name], choice, `${field.name} ${text}`)
      }
    }
  }
})
