import { createHash } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { nameForm, nameFormVersion } from '../../../hub/records/name-form.ts'

t.test('what does not tell names apart', async (t) => {
  const same = [
    [
      '东莞市民政局',
      '東莞市民政局',
      '东莞市 民政局',
      '东莞市\u200b民政局',
      '东莞市+民政局',
      '东莞市民̶政局',
      '东莞市\u{e0100}民政局',
      '《东莞市民政局》',
    ],
    ['A类许可', 'a类许可', 'Ａ类许可', 'a类許可', 'a\u3164类许可', 'a类\u2060许可 ', 'A-类（许可）'],
    ['café', 'cafe\u0301', 'CAFÉ', 'cafe\u200d\u0301'],
    ['房屋面积m2', '房屋面积㎡', '房屋面積ｍ²'],
    ['+++', '＋+\u200b＋'],
    // Cyrillic, Greek, kana
    ['ABC登记', '\u0410\u0412\u0421登记', 'a\u0432\u0441登记', '\u0391\u0392C登记'],
    ['Name', 'N\u0430m\u0435', '\u039d\u0391\u039c\u0395'],
    ['人口力量', '人\u30ed\u30ab量', '人\uff9b\uff76量'],
  ]
  for (const names of same) t.equal(new Set(names.map(nameForm)).size, 1, names.join(' = '))
  const different = ['民政局', '水务局', '一', '二', 'cafe', 'café', '+', '-', 'བོད', 'བད', 'γ射线', 'y射线', '水', '氷']
  t.equal(new Set(different.map(nameForm)).size, different.length, different.join(' ≠ '))
})

t.test('what is put between is not seen, and the form of a form is the form', async (t) => {
  const noise = fc.constantFrom(
    '\u200b',
    '\u200d',
    '\ufeff',
    '\u00ad',
    '\u3164',
    '\ufe0f',
    '\u{e0041}',
    ' ',
    '\u3000',
    '+',
    '＋',
    '·',
    '-',
    '（',
    '°',
  )
  const letters = fc.array(fc.constantFrom(...Array.from('东莞民政局许可證書裏发發ABcd１２3éß')), { minLength: 1, maxLength: 12 })
  let cases = 0
  const property = fc.property(
    letters,
    fc.array(noise, { maxLength: 13 }),
    fc.constantFrom('NFC', 'NFD', 'NFKC', 'NFKD'),
    (name, between, composed) => {
      cases++
      const plain = name.join('')
      const disguised = (between[name.length] ?? '') + name.map((letter, i) => letter + (between[i] ?? '')).join('')
      return nameForm(disguised.normalize(composed)) === nameForm(plain) && nameForm(nameForm(plain)) === nameForm(plain)
    },
  )
  fc.assert(property, { numRuns: 3000 })
  const any = fc.property(fc.string({ unit: 'grapheme' }), (text) => nameForm(nameForm(text)) === nameForm(text))
  fc.assert(any, { numRuns: 3000 })
  t.pass(`${cases} names`)
})

t.test('stored forms are made anew when the form changes', async (t) => {
  const ranges = [
    [0x20, 0x33ff],
    [0x4e00, 0x9fff],
    [0xf900, 0xfaff],
    [0xff00, 0xffef],
  ] as const
  const digest = createHash('sha256')
  for (const [first, last] of ranges)
    for (let code = first; code <= last; code++) digest.update(`${nameForm(String.fromCodePoint(code))}\n`)
  // Another Unicode, another dictionary, another rule: raise the version, and put the new digest here.
  t.same([nameFormVersion, digest.digest('hex').slice(0, 16)], [2, '55ee933029878504'])
})
