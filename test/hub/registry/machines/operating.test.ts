/** What people have an agent find out or do: who may, what goes on record, and what comes back. */
import t from 'tap'
import type { Question } from '../../../../protocol/asks.ts'
import { openCity, type City } from '../../city.ts'
import { enrolled } from '../../office.ts'

const answers: Record<string, object> = {
  doctor: { checks: [{ name: 'hub', ok: true, zh: '正常', en: 'good' }] },
  log: { lines: ['{"level":30}'] },
  pause: { done: true },
  resume: { done: true },
  confirm: { done: true },
}

async function withAgent(test: Pick<typeof t, 'teardown'>): Promise<{ city: City; agent: string; asked: [string, Question][] }> {
  const asked: [string, Question][] = []
  const ask = async (agent: string, question: Question) => {
    asked.push([agent, question])
    return answers[question.kind]
  }
  const city = await openCity(test, { asks: { ask: ask as never } })
  return { city, agent: (await enrolled(city, 'civil')).id, asked }
}

t.test('the agency’s IT and the office ask the agent, on record', async (t) => {
  const { city, agent, asked } = await withAgent(t)
  const it = city.as('civil', 'agency-it')
  t.same((await it.post(`/agents/${agent}/doctor`)).body, answers['doctor'])
  t.same((await city.as('city', 'office').post(`/agents/${agent}/log`, {})).body, answers['log'])
  for (const kind of ['pause', 'resume', 'confirm'])
    t.same((await it.post(`/agents/${agent}/${kind}`, { name: 'villages' })).body, { done: true })
  t.same(asked, [
    [agent, { kind: 'doctor' }],
    [agent, { kind: 'log', lines: 100 }],
    [agent, { kind: 'pause', name: 'villages' }],
    [agent, { kind: 'resume', name: 'villages' }],
    [agent, { kind: 'confirm', name: 'villages' }],
  ])
  const recorded = await city.store.query(
    `select act, object, details from audit_entry where act ~ '^agent[.](doctor|log|pause|resume|confirm)' order by id`,
  )
  t.match(recorded, [
    { act: 'agent.doctor', object: `agent ${agent}` },
    { act: 'agent.log', details: { lines: 100 } },
    { act: 'agent.pause', details: { name: 'villages' } },
    { act: 'agent.resume' },
    { act: 'agent.confirm' },
  ])
})

t.test('nobody else does, and deletes are confirmed by the agency alone', async (t) => {
  const { city, agent, asked } = await withAgent(t)
  for (const kind of ['doctor', 'log', 'pause', 'resume', 'confirm']) {
    const body = kind === 'doctor' ? {} : kind === 'log' ? { lines: 1 } : { name: 'villages' }
    for (const caller of [city.as('water', 'agency-it'), city.as('civil', 'registrar'), city.as('city', 'supervisor')])
      t.match(await caller.post(`/agents/${agent}/${kind}`, body), { status: 403, body: { code: 'QZ-FORBIDDEN' } }, kind)
  }
  t.equal((await city.as('city', 'office').post(`/agents/${agent}/confirm`, { name: 'villages' })).status, 403)
  t.equal((await city.as('civil', 'agency-it').post(`/agents/${agent}/pause`, {})).status, 400)
  t.same(asked, [])
})
