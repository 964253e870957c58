import t from 'tap'
import { counted, inLanguage, joinTexts, readText, same, storeText } from '../../protocol/localized.ts'

t.test('a text in the reader’s language', async (t) => {
  t.equal(inLanguage({ zh: '甲', en: 'a' }, 'zh'), '甲')
  t.equal(inLanguage('x', 'zh'), 'x')
  t.equal(inLanguage(7, 'en'), '7')
  t.same(joinTexts(['表 t', { zh: '没有主键', en: 'no key' }], { zh: '：', en: ': ' }), { zh: '表 t：没有主键', en: '表 t: no key' })
})

t.test('texts are kept in a column and come back', async (t) => {
  const pair = { zh: '授权期限已满', en: 'its period is over' }
  t.same(readText(storeText(pair)), pair)
  t.same(readText(storeText(same('ORA-00001'))), same('ORA-00001'))
  for (const text of ['职能已调整', '期限已满 / its period is over', '', '{"zh":1}', '{"zh":"甲"}', '{"zh":'])
    t.equal(readText(storeText(text)), text)
})

t.test('a number and what it counts', (t) => {
  t.same(
    [0, 1, 2, '1', '1,000'].map((number) => counted(number, 'row')),
    ['0 rows', '1 row', '2 rows', '1 row', '1,000 rows'],
  )
  t.same(
    ['entry', 'key', 'batch'].map((unit) => counted(2, unit)),
    ['2 entries', '2 keys', '2 batches'],
  )
  t.end()
})
