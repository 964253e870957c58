import t from 'tap'
import { base32, fromBase32, newTotpSecret, stepOf, totp, totpUri } from '../../../hub/access/totp.ts'

const secret = Buffer.from('12345678901234567890')

t.test('the vectors of RFC 6238, appendix B (SHA-1, eight digits)', async (t) => {
  for (const [seconds, code] of [
    [59, '94287082'],
    [1111111109, '07081804'],
    [1111111111, '14050471'],
    [1234567890, '89005924'],
    [2000000000, '69279037'],
    [20000000000, '65353130'],
  ] as const)
    t.equal(totp(secret, Math.floor(seconds / 30), 8), code)
})

t.test('base32 as in RFC 4648', async (t) => {
  t.equal(base32(Buffer.from('foobar')), 'MZXW6YTBOI')
  t.equal(base32(secret), 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ')
  t.same(fromBase32('GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ'), secret)
  t.equal(newTotpSecret().length, 32)
})

t.test('a code counts in its step and one beside it, and once', async (t) => {
  const text = base32(secret)
  const now = new Date(1_111_111_109_000)
  const step = Math.floor(1_111_111_109 / 30)
  for (const near of [-1, 0, 1]) t.equal(stepOf(text, totp(secret, step + near), now, 0), step + near)
  for (const far of [-2, 2]) t.equal(stepOf(text, totp(secret, step + far), now, 0), undefined)
  t.equal(stepOf(text, totp(secret, step), now, step), undefined, 'used')
  t.equal(stepOf(text, totp(secret, step - 1), now, step), undefined, 'older than the one used')
  t.equal(stepOf(text, totp(secret, step + 1), now, step), step + 1)
  for (const wrong of ['', '12345', `${totp(secret, step)}0`, '数字数字数字']) t.equal(stepOf(text, wrong, now, 0), undefined, wrong)
})

t.test('the link for authenticator apps', async (t) => {
  t.equal(
    totpUri('ABC', 'zhang.san', '前置'),
    'otpauth://totp/%E5%89%8D%E7%BD%AE:zhang.san?secret=ABC&issuer=%E5%89%8D%E7%BD%AE&algorithm=SHA1&digits=6&period=30',
  )
})
