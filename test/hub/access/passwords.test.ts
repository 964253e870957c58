import t from 'tap'
import { QianzhiError } from '../../../protocol/errors.ts'
import { checkPassword } from '../../../hub/access/password-rules.ts'
import { Passwords } from '../../../hub/access/passwords.ts'
import { defaultAccess } from '../../../hub/access/settings.ts'
import { Throttle } from '../../../hub/access/throttle.ts'
import { refusal } from '../office.ts'

t.test('a stored password verifies, whatever the cost was', async (t) => {
  const old = new Passwords(10)
  const stored = await old.hash('Kapok-tree-41')
  t.match(stored, /^\$argon2id\$v=19\$m=1024,t=3,p=1\$[\w-]{22}\$[\w-]{43}$/)
  t.not(await old.hash('Kapok-tree-41'), stored, 'salted')
  const raised = new Passwords(11)
  t.equal(await raised.verify('Kapok-tree-41', stored), true)
  t.equal(await raised.verify('Kapok-tree-42', stored), false)
  t.equal(raised.isOutdated(stored), true)
  t.equal(old.isOutdated(stored), false)
  t.equal(await old.verify('Kapok-tree-41', null), false, 'nobody')
  t.equal(await old.verify('Ⅻ-full-Width', await old.hash('XII-full-Width')), true, 'however it was typed')
})

t.test('an unknown name takes as long as a wrong password', async (t) => {
  const passwords = new Passwords(14)
  const stored = await passwords.hash('Kapok-tree-41')
  const time = async (kept: string | null) => {
    const began = performance.now()
    await passwords.verify('wrong', kept)
    return performance.now() - began
  }
  const times = { known: [] as number[], unknown: [] as number[] }
  for (let i = 0; i < 9; i++) {
    times.known.push(await time(stored))
    times.unknown.push(await time(null))
  }
  const [known, unknown] = [Math.min(...times.known), Math.min(...times.unknown)]
  t.ok(unknown > known / 4 && unknown < known * 4, `${known} ms, ${unknown} ms`)
})

t.test('hashes wait for each other, and too many are refused', async (t) => {
  const passwords = new Passwords(10)
  const stored = await passwords.hash('Kapok-tree-41')
  const many = await Promise.allSettled(Array.from({ length: 250 }, () => passwords.verify('Kapok-tree-41', stored)))
  const busy = many.filter(({ status }) => status === 'rejected') as PromiseRejectedResult[]
  t.equal(busy.length, 48, 'two at work, two hundred waiting')
  t.ok(busy.every(({ reason }) => reason instanceof QianzhiError && reason.code === 'QZ-HUB-BUSY'))
  t.equal(await passwords.verify('Kapok-tree-41', stored), true, 'and goes on')
})

t.test('rules of passwords', async (t) => {
  const judge = async (password: string, login = 'zhang.san') =>
    refusal(Promise.resolve().then(() => checkPassword(password, login, defaultAccess.password)))
  for (const good of ['Kapok-tree-41', '木棉花开Kapok41', 'longer words with no-1', 'aB3-aB4-xY9'])
    t.equal(await judge(good), 'not refused', good)
  for (const bad of [
    'Kapok-t-4',
    'kapoktree41xx',
    'KAPOKTREE-KAPOK',
    'My-Zhang.San-9',
    `Aa1-${'x'.repeat(130)}`,
    'Password123!',
    'P@ssw0rd123',
    'Admin@2026!',
    '1qaz@WSX3edc',
    'Abc@123456',
    'Aa12345678!',
    'Dongguan@2026',
    'Aa1!Aa1!Aa1!',
  ])
    t.equal(await judge(bad), 'QZ-RULE', bad)
  const faults = { zh: /须至少 10 个字符；须含.*；不能是常见口令/, en: /at least 10 .*; it may not be one of the commonest/ }
  const refused = await Promise.resolve()
    .then(() => checkPassword('abc123', 'zhang.san', defaultAccess.password))
    .catch((error) => error.details.reason)
  t.match(refused, faults, 'each says what is wanted')
})

t.test('an address may try so often a minute, and few addresses are remembered', async (t) => {
  const throttle = new Throttle(3, 100)
  const at = (seconds: number) => new Date(1_800_000_000_000 + seconds * 1000)
  const take = (address: string, seconds = 0) => refusal(Promise.resolve().then(() => throttle.take(address, at(seconds))))
  for (let i = 0; i < 3; i++) t.equal(await take('10.0.0.1'), 'not refused')
  t.equal(await take('10.0.0.1', 30), 'QZ-SIGN-IN-RATE')
  t.equal(await take('10.0.0.2', 30), 'not refused', 'another address')
  t.equal(await take('10.0.0.1', 61), 'not refused', 'a minute later')
  for (const host of ['1', '2', '3']) t.equal(await take(`2001:db8:1:2::${host}`), 'not refused')
  t.equal(await take('2001:db8:1:2:ffff::9'), 'QZ-SIGN-IN-RATE', 'one network')
  t.equal(await take('2001:db8:1:3::1'), 'not refused')
  t.equal(await take('2001:db8::1'), 'not refused')
  for (let i = 0; i < 1000; i++) await take(`10.1.${i >> 8}.${i & 255}`)
  t.equal(throttle.size, 100)
})
