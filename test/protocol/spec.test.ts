/** SPEC.md says what the code does: tables are compared, and each test that a guarantee names must exist. */
import { existsSync, readFileSync } from 'node:fs'
import t from 'tap'
import { agentPaths, deliveryMediaType, PollRequest } from '../../protocol/api.ts'
import { batchMediaType, Manifest, readerLimits, writerLimits } from '../../protocol/batch.ts'
import { errorCodes, errorKind } from '../../protocol/errors.ts'
import { clockTolerance } from '../../protocol/request.ts'
import { longestTextKey } from '../../protocol/schema.ts'
import { keyTypes, valueTypes } from '../../protocol/value.ts'

const top = new URL('../../', import.meta.url)
const spec = readFileSync(new URL('protocol/SPEC.md', top), 'utf8')
const sections = new Map(
  Array.from(spec.matchAll(/^## (\d+)\. .*\n([\s\S]*?)(?=^## |$(?![\s\S]))/gm), ([, number, text]) => [Number(number), text!]),
)

/** Rows of the tables in a section, cells trimmed, without heads and rules. */
function rows(section: number): string[][] {
  const lines = sections.get(section)!.split('\n')
  return lines
    .filter((line, i) => line.startsWith('| ') && !line.startsWith('| --- |') && !lines[i + 1]?.startsWith('| --- |'))
    .map((line) => line.slice(2, -2).split(' | '))
}

const ticked = (cell: string | undefined): string => cell?.replaceAll('`', '') ?? ''

t.test('sections', async (t) => {
  t.same([...sections.keys()], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18])
})

t.test('error codes', async (t) => {
  const code = errorCodes.map((code) => {
    const { status, who, retry, en } = errorKind(code)
    return [`\`${code}\``, String(status), who, retry ? 'yes' : 'no', en]
  })
  t.same(rows(11), code, 'the table is protocol/errors.ts')
  for (const [named] of spec.matchAll(/QZ-[A-Z-]+[A-Z]/g)) t.ok(errorCodes.includes(named as never), `${named} is a code`)
})

t.test('values', async (t) => {
  t.same(
    rows(9).map(([type, , key]) => [ticked(type), key!.startsWith('yes')]),
    valueTypes.map((type) => [type, keyTypes.includes(type)]),
  )
  t.ok(sections.get(9)!.includes(`\`length\` at most ${longestTextKey}`))
})

/** A JSON Schema keyword, which TypeBox's types do not show. */
const keyword = (schema: object, name: string): unknown => (schema as Record<string, unknown>)[name]

t.test('limits', async (t) => {
  const limit = (start: string) =>
    rows(10)
      .find(([what]) => what!.startsWith(start))!
      .slice(1)
      .map(Number)
  t.same(limit('bytes of a container'), [readerLimits.encoded, writerLimits.encoded])
  t.same(limit('bytes of all its blocks'), [readerLimits.unpacked, writerLimits.unpacked])
  t.same(limit('rows'), [readerLimits.rows, writerLimits.rows])
  t.equal(limit('blocks')[0], keyword(Manifest.properties.blocks, 'maxItems'))
  t.equal(limit('epoch')[0], keyword(Manifest.properties.epoch, 'maximum'))
  t.equal(limit('seq')[0], keyword(Manifest.properties.seq, 'maximum'))
  t.equal(limit('seconds between')[0], clockTolerance)
  t.equal(limit('seconds of')[0], keyword(PollRequest.properties.wait, 'maximum'))
  t.equal(limit('routes')[0], keyword(PollRequest.properties.routes, 'maxItems'))
})

t.test('manifest, paths and media types', async (t) => {
  const described = rows(3).flatMap(([names]) => Array.from(names!.matchAll(/`(\w+)`/g), (match) => match[1]))
  for (const name of Object.keys(Manifest.properties)) t.ok(described.includes(name), `manifest member ${name}`)
  for (const path of Object.values(agentPaths)) t.ok(sections.get(5)!.includes(path), path)
  for (const type of [batchMediaType, deliveryMediaType]) t.ok(spec.includes(type), type)
})

t.test('statement types', async (t) => {
  t.same(
    new Set(rows(2).map(([typ]) => ticked(typ))),
    new Set([
      'qz-batch',
      'qz-receipt',
      'qz-head',
      'qz-policy',
      'qz-ask',
      'qz-audit',
      'qz-key',
      'qz-reconciliation',
      'qz-file',
      'qz-open',
      'qz-derived',
    ]),
  )
})

t.test('guarantees', async (t) => {
  const guarantees = Array.from(sections.get(14)!.matchAll(/^(\d)\. \*\*([\s\S]*?)(?=^\d\. \*\*|$(?![\s\S]))/gm), ([, number, text]) => ({
    number,
    text: text!,
  }))
  t.same(
    guarantees.map(({ number }) => Number(number)),
    [1, 2, 3, 4, 5, 6, 7, 8, 9],
  )
  for (const { number, text } of guarantees) {
    const files = Array.from(text.matchAll(/`(test\/[^`]+\.ts)`/g), (match) => match[1]!)
    if (text.includes('*Not yet held.*')) t.same(files, [], `guarantee ${number} is not yet held, and names no test`)
    else t.ok(files.length > 0, `guarantee ${number} names a test`)
    for (const file of files) t.ok(existsSync(new URL(file, top)), `guarantee ${number}: ${file} exists`)
  }
})
