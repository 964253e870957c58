import fc from 'fast-check'
import t from 'tap'
import { checkIdentifier, identifierFaultText, identifierKinds, recognise, type IdentifierKind } from '../../protocol/identifiers.ts'

const valid: Record<IdentifierKind, string[]> = {
  uscc: ['91350100M000100Y43', '91110108551385082Q', '91441900PDY0001750'],
  'organisation-code': ['085948158', 'PDY00001X', 'PDY000060'],
  'registration-number': ['440301108548379', '310115600985533', '441900000000070'],
  'identity-number': ['11010519491231002X', '440524188001010014', '44190019850512004X'],
}

const alphabets: Record<IdentifierKind, string> = {
  uscc: '0123456789ABCDEFGHJKLMNPQRTUWXY',
  'organisation-code': '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ',
  'registration-number': '0123456789',
  'identity-number': '0123456789X',
}

t.test('the examples of the standards', async (t) => {
  for (const kind of identifierKinds) {
    for (const text of valid[kind]) t.equal(checkIdentifier(kind, text), undefined, `${kind} ${text}`)
  }
  t.equal(checkIdentifier('uscc', '91310115MA1G4L1WXK'), 'check')
  t.equal(checkIdentifier('uscc', '91310115MA1G4L1WX7'), undefined)
  for (const text of valid['uscc']) t.equal(checkIdentifier('organisation-code', text.slice(8, 17)), undefined, 'places 9–17 of a USCC')
})

t.test('what is wrong is named', async (t) => {
  for (const kind of identifierKinds) {
    for (const text of valid[kind]) {
      t.equal(checkIdentifier(kind, ''), 'length')
      t.equal(checkIdentifier(kind, `${text}0`), 'length')
      t.equal(checkIdentifier(kind, text.slice(1)), 'length')
      for (let place = 0; place < text.length; place++) {
        for (const foreign of ['-', ' ', 'x', '０', 'é', '\0', '/', ':']) {
          t.equal(checkIdentifier(kind, text.slice(0, place) + foreign + text.slice(place + 1)), 'character', `${kind} ${place} ${foreign}`)
        }
      }
    }
  }
  for (const letter of 'IOSVZ') t.equal(checkIdentifier('uscc', `9135010${letter}M000100Y43`), 'character')
  t.equal(checkIdentifier('identity-number', '1101051949X2310024'), 'character', 'X stands last only')
})

/** With the check character that makes the sum right, so that only the date can be wrong. */
function identityOf(first: string): string {
  return first + Array.from('0123456789X').find((last) => ['date', undefined].includes(checkIdentifier('identity-number', first + last)))!
}

t.test('the date of an identity number must exist', async (t) => {
  const born = (date: string): string | undefined => {
    const faults = Array.from('0123456789X', (last) => checkIdentifier('identity-number', `110105${date}002${last}`))
    return faults.every((fault) => fault === 'date') ? 'date' : faults.filter((fault) => fault === undefined).length === 1 ? 'ok' : 'odd'
  }
  for (const date of ['19490230', '19490431', '20230229', '19000229', '19491301', '19490001', '19490100', '00000101', '19490132']) {
    t.equal(born(date), 'date', date)
  }
  for (const date of ['20240229', '20000229', '19490430', '19491231', '18800101']) t.equal(born(date), 'ok', date)
  t.equal(checkIdentifier('identity-number', identityOf('11010519490230002')), 'date')
})

/** Exactly one check character fits any body: found by trying. */
function complete(kind: IdentifierKind, body: string): string | undefined {
  const fitting = Array.from(alphabets[kind]).filter((last) => checkIdentifier(kind, body + last) === undefined)
  return fitting.length === 1 ? body + fitting[0]! : undefined
}

const bodies: Record<IdentifierKind, fc.Arbitrary<string>> = {
  uscc: text(alphabets['uscc'], 17),
  'organisation-code': text(alphabets['organisation-code'], 8),
  'registration-number': text('0123456789', 14),
  'identity-number': fc
    .tuple(
      text('0123456789', 6),
      fc.date({ min: new Date('1800-01-01'), max: new Date('2199-12-31'), noInvalidDate: true }),
      text('0123456789', 3),
    )
    .map(([region, date, order]) => `${region}${date.toISOString().slice(0, 10).replaceAll('-', '')}${order}`),
}

function text(characters: string, length: number): fc.Arbitrary<string> {
  return fc.array(fc.constantFrom(...Array.from(characters)), { minLength: length, maxLength: length }).map((parts) => parts.join(''))
}

/** GB 11714 counts letters up to 35 modulo 11: characters eleven apart weigh the same, and cannot be told apart. */
function promised(kind: IdentifierKind, place: number, before: string, after: string): boolean {
  if (kind !== 'organisation-code' || place === 8) return true
  const values = alphabets[kind]
  return (values.indexOf(before) - values.indexOf(after)) % 11 !== 0
}

for (const kind of identifierKinds) {
  t.test(`property: ${kind}: each body has one check character, and changing any one character is found`, async () => {
    fc.assert(
      fc.property(bodies[kind], fc.nat(), fc.nat(), (body, where, which) => {
        const whole = complete(kind, body)
        if (whole === undefined) return false
        const place = where % whole.length
        const others = Array.from(alphabets[kind]).filter(
          (character) => promised(kind, place, whole[place]!, character) && character !== whole[place],
        )
        const changed = whole.slice(0, place) + others[which % others.length]! + whole.slice(place + 1)
        return checkIdentifier(kind, changed) !== undefined
      }),
      { numRuns: 2000 },
    )
  })
}

t.test('a column is recognised by nine tenths of at least five different values', async (t) => {
  const make = (kind: IdentifierKind, count: number) =>
    fc.sample(bodies[kind], { numRuns: count, seed: 7 }).map((body) => complete(kind, body)!)
  for (const kind of identifierKinds) {
    const values = make(kind, 18)
    t.equal(recognise(values), kind)
    t.equal(recognise([...values, null, '', 'wrong', 'wrong']), kind, 'two of twenty may be wrong; what is empty does not count')
    t.equal(recognise([...values, 'wrong', 'wrong', 'wrong']), undefined, 'three of 21 may not')
    t.equal(recognise(values.slice(0, 4)), undefined, 'four are too few')
    t.equal(recognise(Array.from({ length: 50 }, () => values[0]!)), undefined, 'one value many times tells nothing')
  }
  t.equal(recognise([]), undefined)
  t.equal(recognise(['东莞', '广州', '深圳', '惠州', '佛山']), undefined)
})

t.test('faults are said in both languages, without the value', async (t) => {
  t.same(identifierFaultText('uscc', 'check'), {
    zh: '统一社会信用代码：校验码不对',
    en: 'unified social credit code: wrong check character',
  })
})
