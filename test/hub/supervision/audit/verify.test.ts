/** The chain as a property: whatever is done to an export is found, and called by its name. */
import fc from 'fast-check'
import t from 'tap'
import { QianzhiError } from '../../../../protocol/errors.ts'
import { inLanguage } from '../../../../protocol/localized.ts'
import { generateSigningKey } from '../../../../protocol/signature.ts'
import { canonicalJson, entryHash, entryText, type ChainedEntry } from '../../../../hub/supervision/audit/entry.ts'
import { endLine, entryLine, readEntryLine } from '../../../../hub/supervision/audit/lines.ts'
import { verifyExport, type Expected, type HeldCheckpoint, type Verified } from '../../../../hub/supervision/audit/verify.ts'

const hub = generateSigningKey()
const time = '2026-11-23T08:00:00.000Z'

type Content = Omit<ChainedEntry, 'seq' | 'prev'>

function content(n: number, more: Partial<Content> = {}): Content {
  const act = { actor: `person ${n}`, agency: 'civil', via: 'session' as const, ip: '127.0.0.1', act: 'grant.add', object: `g${n}` }
  return { at: '2026-11-23T08:00:00.000001Z', ...act, outcome: 'done', details: { n, items: ['名称'] }, ...more }
}

interface Exported {
  /** Each with its line feed. */
  lines: string[]
  hashes: string[]
}

/** Lines of a chain: of all of it, or of the part from one seq to another. */
function exported(contents: readonly Content[], { from = 1, to = contents.length, key = hub, at = time } = {}): Exported {
  const lines: string[] = []
  const hashes: string[] = []
  for (const [i, entry] of contents.entries()) {
    const text = entryText({ ...entry, seq: i + 1, prev: hashes.at(-1) ?? null })
    hashes.push(entryHash(text))
    lines.push(entryLine(text, hashes.at(-1)!))
  }
  const head = { seq: hashes.length, hash: hashes.at(-1)! }
  const end = { from, to, prev: hashes[from - 2] ?? null, hash: hashes[to - 1]!, count: to - from + 1, head, time: at }
  return { lines: [...lines.slice(from - 1, to), endLine(end, key)], hashes }
}

async function* split(bytes: Buffer): AsyncGenerator<Buffer> {
  let from = 0
  for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, from)) {
    yield bytes.subarray(from, end)
    from = end + 1
  }
  if (from < bytes.length) yield Buffer.concat([bytes.subarray(from), Buffer.from('\n')])
}

const verify = (bytes: string | Buffer, expected: Expected = { hubKey: hub.publicKey }): Promise<Verified> =>
  verifyExport(split(Buffer.from(bytes)), expected)

/** `QZ-AUDIT-ALTERED 3`: the code and the line. */
async function finding(lines: readonly string[] | Buffer, expected?: Expected): Promise<string> {
  try {
    await verify(Buffer.isBuffer(lines) ? lines : lines.join(''), expected)
    return 'intact'
  } catch (error) {
    if (!(error instanceof QianzhiError)) throw error
    return `${error.code} ${inLanguage(error.details['line'] ?? '', 'en')}`
  }
}

const ten = exported(Array.from({ length: 10 }, (_, i) => content(i + 1)))
const held = (seq: number, more: Partial<HeldCheckpoint> = {}): HeldCheckpoint => ({
  seq,
  hash: ten.hashes[seq - 1] ?? 'f'.repeat(64),
  time: '2026-11-22T08:00:00.000Z',
  agent: 'water-1',
  ...more,
})

t.test('the text of an entry is canonical', async (t) => {
  t.equal(canonicalJson({ b: [1, { d: null, c: '行' }], a: 1e21, é: true }), '{"a":1e+21,"b":[1,{"c":"行","d":null}],"é":true}')
  const entry = { ...content(1), seq: 1, prev: null }
  const turned = Object.fromEntries(Object.entries(entry).toReversed()) as unknown as ChainedEntry
  t.equal(entryText(turned), entryText({ ...entry, id: '7' } as unknown as ChainedEntry), 'whatever the order, and nothing else is in it')
})

t.test('what is intact is said to be, whole and in parts', async (t) => {
  t.match(await verify(ten.lines.join('')), { from: 1, to: 10, count: 10, head: { seq: 10, hash: ten.hashes[9] }, keyExpected: true })
  t.match(await verify(ten.lines.join(''), {}), { key: hub.publicKey, keyExpected: false }, 'without a known key')
  const contents = Array.from({ length: 10 }, (_, i) => content(i + 1))
  for (const [from, to] of [
    [1, 1],
    [1, 4],
    [4, 7],
    [7, 10],
    [10, 10],
  ] as const) {
    const part = exported(contents, { from, to })
    t.match(await verify(part.lines.join('')), { from, to, count: to - from + 1, head: { seq: 10 } }, `${from} to ${to}`)
  }
})

t.test('what was done is called by its name, at the first line that is not right', async (t) => {
  const { lines } = ten
  const with_ = (change: (lines: string[]) => unknown) => {
    const copy = [...lines]
    change(copy)
    return finding(copy)
  }
  t.equal(await with_((l) => (l[4] = l[4]!.replace('person 5', 'person 6'))), 'QZ-AUDIT-ALTERED 5')
  t.equal(await with_((l) => (l[4] = l[4]!.replace(ten.hashes[4]!, 'a'.repeat(64)))), 'QZ-AUDIT-ALTERED 5', 'its hash')
  t.equal(await with_((l) => (l[4] = 'x\n')), 'QZ-AUDIT-ALTERED 5', 'beyond recognition')
  t.equal(await with_((l) => (l[0] = l[0]!.replace('person 1', 'person 2'))), 'QZ-AUDIT-ALTERED 1', 'the first one')
  const rewritten = exported(Array.from({ length: 10 }, (_, i) => content(i + 1, i === 4 ? { actor: 'nobody' } : {})))
  t.equal(await with_((l) => (l[4] = rewritten.lines[4]!)), 'QZ-AUDIT-ALTERED 6', 'with a right hash: what follows does not')
  t.equal(await with_((l) => l.splice(4, 1)), 'QZ-AUDIT-MISSING 5')
  t.equal(await with_((l) => l.splice(4, 3)), 'QZ-AUDIT-MISSING 5', 'several')
  t.equal(await with_((l) => l.splice(0, 2)), 'QZ-AUDIT-MISSING 1', 'at the beginning')
  t.equal(await with_((l) => l.splice(3, 2, l[4]!, l[3]!)), 'QZ-AUDIT-REORDERED 4')
  t.equal(await with_((l) => l.splice(0, 2, l[1]!, l[0]!)), 'QZ-AUDIT-REORDERED 2', 'the first two')
  t.equal(await with_((l) => l.splice(8, 0, ...l.splice(2, 1))), 'QZ-AUDIT-REORDERED 3', 'moved far')
  t.equal(await with_((l) => l.splice(6, 0, l[2]!)), 'QZ-AUDIT-INSERTED 7', 'one again')
  t.equal(await with_((l) => l.splice(6, 0, 'x\n')), 'QZ-AUDIT-INSERTED 7', 'something else')
  const forged = entryText({ ...content(99), seq: 7, prev: ten.hashes[5]! })
  t.equal(
    await with_((l) => l.splice(6, 0, entryLine(forged, entryHash(forged)))),
    'QZ-AUDIT-INSERTED 8',
    'one that fits what is before it',
  )
  t.equal(await with_((l) => l.push(l[2]!)), 'QZ-AUDIT-INSERTED 12', 'behind the end')
  t.equal(await with_((l) => l.pop()), 'QZ-AUDIT-CUT 10', 'the signed end')
  t.equal(await with_((l) => l.splice(7)), 'QZ-AUDIT-CUT 7', 'the end and more')
  t.equal(await with_((l) => l.splice(7, 3)), 'QZ-AUDIT-CUT 8', 'all but the signed end')
  t.equal(await with_((l) => (l[10] = l[10]!.slice(0, -20))), 'QZ-AUDIT-CUT 10', 'in the middle of a line')
  t.equal(await with_((l) => (l[10] = l[10]!.slice(0, -1))), 'QZ-AUDIT-CUT 10', 'the last line feed')
  t.equal(await finding([]), 'QZ-AUDIT-CUT 0')
})

t.test('only the hub signs the end', async (t) => {
  const other = generateSigningKey()
  const contents = Array.from({ length: 10 }, (_, i) => content(i + 1, i === 4 ? { actor: 'nobody' } : {}))
  t.equal(await finding(exported(contents, { key: other }).lines), 'QZ-AUDIT-SIGNATURE 11', 'a whole new chain')
  t.equal(await finding([...ten.lines.slice(0, 10), exported(contents).lines[10]!]), 'QZ-AUDIT-SIGNATURE 11', "another chain's end")
  t.equal(await finding([...ten.lines.slice(0, 10), ten.lines[10]!.replace(hub.publicKey, other.publicKey)]), 'QZ-AUDIT-SIGNATURE 11')
  const text = entryText({ ...content(11), seq: 11, prev: ten.hashes[9]! })
  t.equal(await finding(ten.lines.toSpliced(10, 0, entryLine(text, entryHash(text)))), 'QZ-AUDIT-SIGNATURE 12', 'one more entry before it')
})

t.test('checkpoints that agents hold show what a hub rewrote with its own key', async (t) => {
  const expect = (...checkpoints: HeldCheckpoint[]): Expected => ({ hubKey: hub.publicKey, checkpoints })
  const all = expect(held(3), held(10), held(3, { agent: 'civil-1' }))
  t.match((await verify(ten.lines.join(''), all)).checkpoints, { matched: 3, later: 0, outside: 0 })
  const rewritten = exported(Array.from({ length: 10 }, (_, i) => content(i + 1, i === 4 ? { actor: 'nobody' } : {})))
  t.equal(await finding(rewritten.lines), 'intact', 'without them it does not show')
  t.equal(await finding(rewritten.lines, expect(held(3), held(6), held(8))), 'QZ-AUDIT-CHECKPOINT 6')
  t.equal(await finding(rewritten.lines, expect(held(3))), 'intact', 'one from before says nothing of it')
  const cut = exported(Array.from({ length: 7 }, (_, i) => content(i + 1)))
  t.equal(await finding(cut.lines, expect(held(9))), 'QZ-AUDIT-CHECKPOINT 8', 'the end was cut off')
  const later = expect(held(12, { time: '2026-11-23T08:00:01.000Z' }))
  t.match((await verify(ten.lines.join(''), later)).checkpoints, { matched: 0, later: 1 }, 'a later one is none of this export')
  const part = exported(
    Array.from({ length: 10 }, (_, i) => content(i + 1)),
    { from: 4, to: 6 },
  )
  t.match((await verify(part.lines.join(''), expect(held(1), held(3), held(5), held(9)))).checkpoints, { matched: 2, outside: 2 })
  t.equal(await finding(part.lines, expect(held(3, { hash: 'f'.repeat(64) }))), 'QZ-AUDIT-CHECKPOINT 1', 'the one before a part')
  t.equal(await finding(part.lines, expect(held(10, { hash: 'f'.repeat(64) }))), 'QZ-AUDIT-CHECKPOINT 4', 'the head behind a part')
})

const details = fc.dictionary(fc.string(), fc.jsonValue(), { maxKeys: 3 }) as fc.Arbitrary<Record<string, unknown>>
const chains = fc
  .array(fc.record({ actor: fc.string(), object: fc.string({ unit: 'binary' }), details }), { minLength: 2, maxLength: 12 })
  .map((acts) => exported(acts.map((act, i) => content(i, { ...act, object: act.object.toWellFormed() }))).lines)

t.test('property: any changed byte is found', async () => {
  const change = fc.tuple(chains, fc.nat(), fc.integer({ min: 1, max: 255 }))
  await fc.assert(
    fc.asyncProperty(change, async ([lines, at, flip]) => {
      const bytes = Buffer.from(lines.join(''))
      bytes[at % bytes.length]! ^= flip
      return (await finding(bytes)).startsWith('QZ-AUDIT-')
    }),
    { numRuns: 500 },
  )
})

t.test('property: any removal, swap, insertion or cut is found', async () => {
  const change = fc.tuple(chains, fc.constantFrom('remove', 'swap', 'repeat', 'forge', 'cut'), fc.nat(), fc.nat())
  await fc.assert(
    fc.asyncProperty(change, async ([lines, what, a, b]) => {
      const [i, j] = [a % (lines.length - 1), b % (lines.length - 1)]
      if (what === 'swap' && i === j) return true
      const copy = [...lines]
      if (what === 'remove') copy.splice(i, 1)
      if (what === 'swap') [copy[i], copy[j]] = [copy[j]!, copy[i]!]
      if (what === 'repeat') copy.splice(j, 0, copy[i]!)
      if (what === 'forge') {
        const { seq, prev } = readEntryLine(Buffer.from(lines[i]!.slice(0, -1)))!
        const text = entryText({ ...content(1, { actor: 'forged' }), seq, prev })
        copy.splice(i, b % 2, entryLine(text, entryHash(text)))
      }
      const bytes = Buffer.from(copy.join(''))
      const found = await finding(what === 'cut' ? bytes.subarray(0, a % bytes.length) : bytes)
      return found.startsWith('QZ-AUDIT-')
    }),
    { numRuns: 500 },
  )
})

t.test('property: an intact one is not refused', async () => {
  await fc.assert(fc.asyncProperty(chains, async (lines) => (await finding(lines)) === 'intact'))
})
