/** Excel supply (Art. 15): a workbook is checked whole, then taken. */
import t from 'tap'
import { workbook } from '../../../support/workbook.ts'
import { check, excelCity, header, standing, take } from './fixture.ts'

void t.test('a workbook is checked, taken, and taken once', async (t) => {
  const excel = await excelCity(t)
  const file = workbook([header, ['1', '一', null], ['2', '二', '东城'], ['3', null, null]])
  const checked = await check(excel, file)
  t.match(checked, { state: 'done', result: { rows: 3, created: 3, changed: 0, same: 0, absent: 0, rejects: 0, sheet: '数据' } })
  t.equal((await excel.city.store.query('select from supply_entry')).length, 0, 'nothing is taken')
  const done = await take(excel, checked)
  t.match(done, { state: 'done', result: { rows: 3, created: 3, batches: 1 } })
  t.same(await standing(excel), [
    { code: '1', name: '一', street: null },
    { code: '2', name: '二', street: '东城' },
    { code: '3', name: null, street: null },
  ])
  const again = await check(excel, file)
  t.not(again.id, checked.id)
  t.match(again, { result: { same: 3, created: 0 } })
  t.match(await take(excel, again), { state: 'done', result: { same: 3, batches: 0, first: null } })
})
