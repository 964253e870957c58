/** Which encoding a text has, and files in which two of them are. */
import { isUtf8 } from 'node:buffer'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import iconv from 'iconv-lite'
import t from 'tap'
import type { ReadFileOptions } from '../../../../agent/folders/formats/file-row.ts'
import { readFileRows } from '../../../../agent/folders/formats/read-file.ts'
import { gb18030, items, readRows, refusal, sourceOf, valuesOf } from './fixture.ts'

const source = sourceOf([items.id, items.name])
const folder = t.testdir()
const read = (content: string | Uint8Array, encoding?: 'utf-8' | 'gb18030') =>
  readRows(folder, 'a.csv', content, encoding ? sourceOf([items.id, items.name], { format: { encoding } }) : source)
const text = '编号,姓名\n1,张三\n2,女\n'
const rows = [
  [2, '1', '张三'],
  [3, '2', '女'],
]

function utf16(text: string, mark: boolean, big = false): Buffer {
  const bytes = Buffer.from(`${mark ? '\ufeff' : ''}${text}`, 'utf16le')
  return big ? bytes.swap16() : bytes
}

t.test('each encoding is found', async (t) => {
  t.same(valuesOf(await read(text)), rows)
  t.same(valuesOf(await read(`\ufeff${text}`)), rows)
  t.same(valuesOf(await read(gb18030(text))), rows)
  t.same(valuesOf(await read(Buffer.concat([Buffer.from('84319533', 'hex'), gb18030(text)]))), rows)
  t.same(valuesOf(await read(utf16(text, true))), rows)
  t.same(valuesOf(await read(utf16(text, true, true))), rows)
  t.same(valuesOf(await read(gb18030(text), 'gb18030')), rows)
  t.same(valuesOf(await read(`\ufeff${text}`, 'gb18030')), rows, 'a byte order mark goes before what is configured')
  t.same(valuesOf(await read('id,name\n1,a\n', 'gb18030')), [[2, '1', 'a']])
})

t.test('characters of four bytes, and beyond the first plane', async (t) => {
  // U+3400 and U+20000 of GB 18030-2022, table of the four-byte part.
  const four = Buffer.concat([gb18030('编号,姓名\n1,'), Buffer.from('8139ee39', 'hex'), Buffer.from('95328236', 'hex'), Buffer.from('\n')])
  t.same(valuesOf(await read(four)), [[2, '1', '\u3400\u{20000}']])
  const wide = `编号,姓名\n${'1,\u{20000}\n'.repeat(300_000)}`
  for (const bytes of [Buffer.from(wide), utf16(wide, true), utf16(wide, true, true)]) {
    const read300 = await read(bytes)
    t.equal(read300.length, 300_000)
    t.ok(
      read300.every(({ row }) => row?.[1] === '\u{20000}'),
      'no character is cut where the file is read in pieces',
    )
  }
})

t.test('lines in two encodings: refused, with both lines', async (t) => {
  const many = '7,中华人民共和国\n'.repeat(100)
  const utf8 = Buffer.from(text)
  t.match(await refusal(read(Buffer.concat([utf8, gb18030('3,李四\n')]))), /^第 4 行: .* \/ line 4: .*line 1 is UTF-8, line 4 is GB18030/)
  t.match(
    await refusal(read(Buffer.concat([gb18030(text + many), Buffer.from('8,广州市\n')]))),
    /line 104: .*line 104 is UTF-8, line 1 is GB18030/,
  )
  t.match(
    await refusal(read(Buffer.concat([gb18030(text + many), Buffer.from('8,男\n')]))),
    /line 104: .*line 104 is UTF-8, line 1 is GB18030/,
  )
  t.match(await refusal(read(Buffer.concat([gb18030(text), utf8]), 'gb18030')), /two encodings/, 'configured')
  t.match(await refusal(read(utf8, 'gb18030')), /is UTF-8, not GB18030/)
})

t.test('Chinese that reads as UTF-8 by chance is no second encoding', async (t) => {
  // 女 alone, and characters whose bytes are in UTF-8 those of 丵 and 峡.
  t.equal(gb18030('涓靛场').toString(), '丵峡')
  t.same(valuesOf(await read(gb18030(`${text}3,女\n4,涓靛场\n`))), [...rows, [4, '3', '女'], [5, '4', '涓靛场']])
})

t.test('a file that may be either: as the folder was before, as it is set, or refused', async (t) => {
  const bytes = gb18030('id,full_name\n6,女\n')
  t.equal(bytes.toString(), 'id,full_name\n6,\u016e\n', 'all of it is UTF-8')
  t.match(await refusal(read(bytes)), /^第 2 行: .* \/ line 2: it may be GB18030 as well as UTF-8: set encoding/)
  t.same(valuesOf(await read(bytes, 'gb18030')), [[2, '6', '女']])
  const path = join(folder, 'b.csv')
  const found = async (content: Uint8Array, before?: 'utf-8' | 'gb18030') => {
    writeFileSync(path, content)
    const encoding: ReadFileOptions['encoding'] & {} = before ? { before } : {}
    const read = await Array.fromAsync(readFileRows({ path, source, signal: new AbortController().signal, encoding }))
    return [read[0]![0]!.row![1], encoding.certain]
  }
  t.same(await found(bytes, 'gb18030'), ['女', undefined])
  t.same(await found(bytes, 'utf-8'), ['\u016e', undefined])
  t.same(await found(gb18030(text)), ['张三', 'gb18030'])
  t.same(await found(Buffer.from(text), 'gb18030'), ['张三', 'utf-8'], 'what is certain counts more')
  t.same(await found(Buffer.from('id,full_name\n1,À propos\n')), ['À propos', 'utf-8'], 'not only common characters in GB18030')
  let [wrong, both] = [0, 0]
  for (let row = 0xb0; row <= 0xd7; row++) {
    for (let cell = 0xa1; cell <= (row === 0xd7 ? 0xf9 : 0xfe); cell++) {
      if (!isUtf8(Buffer.of(row, cell))) continue
      both++
      const character = new TextDecoder('gb18030').decode(Uint8Array.of(row, cell))
      const content = Buffer.concat([Buffer.from('id,full_name\n1,'), Buffer.of(row, cell), Buffer.from('\n')])
      const read = await found(content).catch((error: { code?: string }) => [error.code])
      if (read[0] !== character && read[0] !== 'QZ-FILE') wrong++
    }
  }
  t.same([wrong, both], [0, 682], 'of the common characters whose bytes are UTF-8 too none is read as another')
})

t.test('in a file of UTF-8 a line of GB18030 that reads as UTF-8 by chance is a second encoding', async (t) => {
  t.match(await refusal(read(Buffer.concat([Buffer.from(text), gb18030('6,女\n')]))), /line 4: .*line 1 is UTF-8, line 4 is GB18030/)
  t.same(valuesOf(await read(`${text}3,José\n4,5°\n5,±3\n6,Ωmega\n`)).length, 6, 'words and signs of other scripts are none')
})

t.test('Big5 is told, however well it reads as GB18030', async (t) => {
  const people = 'id,full_name\n1,王小明\n2,陳建國\n3,廣東省東莞市\n'
  t.match(await refusal(read(iconv.encode(people, 'big5'))), /seems to be Big5/)
  t.equal(await refusal(read(iconv.encode(people, 'gbk'))), '3 rows', 'the same characters in GBK')
})

t.test('neither encoding: the line is named', async (t) => {
  t.match(
    await refusal(read(Buffer.concat([gb18030(text), Buffer.from('3,\xff\n', 'latin1')]))),
    /^第 4 行: .* \/ line 4: .*neither UTF-8 nor GB18030/,
  )
  t.match(await refusal(read(gb18030(text), 'utf-8')), /line 1: .*not valid UTF-8/)
  t.match(await refusal(read(Buffer.concat([Buffer.from(`\ufeff${text}`), gb18030(text)]))), /line 4: .*not valid UTF-8/)
  t.match(await refusal(read(utf16(text, false))), /U\+0000|neither UTF-8/)
  t.match(await refusal(read(Buffer.concat([utf16(text, true), Buffer.from([0x00, 0xd8, 0x41, 0x00])]))), /not valid UTF-16/)
})

t.test('a line that is longer than what is read at once', async (t) => {
  const long = 'f'.repeat(600_000)
  const read = await readRows(folder, 'a.csv', `编号,姓名,其他\n1,a,"[""${long}""]"\n2,b,\n`, sourceOf([items.id, items.name, items.more]))
  t.same(valuesOf(read), [
    [2, '1', 'a', `["${long}"]`],
    [3, '2', 'b', null],
  ])
})
