import t from 'tap'
import { publishResource } from '../../../hub/registry/publishing/direct-publishing.ts'
import { notify } from '../../../hub/records/notices.ts'
import { supervisionProblems } from '../../../hub/supervision/problems.ts'
import { saveSettings, supervisionSettings } from '../../../hub/records/settings.ts'
import { openOffice, villages } from '../office.ts'

const at = (text: string) => new Date(`${text}+08:00`)

void t.test('health says when a year has begun without a calendar', async (t) => {
  const { store } = await openOffice(t)
  const said = async (now: string) =>
    (await supervisionProblems(store.query, at(now), { mail: true })).map(({ code, zh }) => [code, zh.slice(0, 10)])
  t.same(await said('2027-12-31T23:59'), [['QZ-HEALTH-CALENDAR', '没有 2027 年的']])
  t.same(await said('2026-12-31T23:59'), [])
  await saveSettings(store, supervisionSettings({}, [{ year: 2027, source: 'test', holidays: [], workdays: [] }]), new Date())
  t.same(await said('2027-01-01T00:00'), [])
  t.same(await said('2028-01-01T00:00'), [['QZ-HEALTH-CALENDAR', '没有 2028 年的']])
})

void t.test('health says when duties are not judged, or mail does not go', async (t) => {
  const hub = await openOffice(t)
  const codes = async (now: Date, mail = true) => (await supervisionProblems(hub.store.query, now, { mail })).map(({ code }) => code)
  await publishResource(hub, 'admin', { schema: villages() })
  await hub.store.query('update resource set published_at = $1', [at('2026-11-20T10:00')])
  await hub.store.query(`insert into setting values ('duties_judged_to', '2026-11-20')`)
  t.same(await codes(at('2026-11-22T00:59')), [], 'an hour is allowed')
  t.same(await codes(at('2026-11-22T01:02')), ['QZ-HEALTH-SUPERVISION'])
  await hub.store.query('update setting set value = $1 where key = $2', ['2026-11-30', 'duties_judged_to'])
  await notify(hub.store.query, { to: { role: 'office' }, kind: 'order', object: 'x', zh: 'x', en: 'x' })
  await hub.store.query(`insert into mail (notice, person, address, next_at) select id, 1, 'a@b', now() from notice`)
  const later = new Date(Date.now() + 3_660_000)
  await hub.store.query(`update setting set value = '2099-01-01' where key = 'duties_judged_to'`)
  t.same(await codes(later), ['QZ-HEALTH-MAIL'])
  t.same(await codes(later, false), [])
  t.same(await codes(new Date(Date.now() + 3_000_000)), [])
})
