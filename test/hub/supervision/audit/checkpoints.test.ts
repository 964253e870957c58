/** Checkpoints from the hub's chain into agents' folders, and back as witnesses: with the real programs. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import type { CheckpointFile } from '../../../../protocol/checkpoint.ts'
import { openPolicy } from '../../../../protocol/policy.ts'
import { generateSigningKey } from '../../../../protocol/signature.ts'
import { currentPolicy } from '../../../../hub/registry/grants/policy.ts'
import type { Verified } from '../../../../hub/supervision/audit/verify.ts'
import { openClient } from '../../../support/client.ts'
import { Exchange } from '../../../support/exchange.ts'
import { findPostgres } from '../../../support/postgres.ts'
import { runProgram, until } from '../../../support/programs.ts'
import { enrolled, openOffice } from '../../office.ts'

t.test('a policy carries the checkpoint of its issue; a new one alone issues none', async (t) => {
  const office = await openOffice(t)
  const { id } = await enrolled(office, 'civil')
  const hubKey = generateSigningKey()
  const policy = async (seq: number, reported = 0) => {
    const audit = seq === 0 ? undefined : { seq, hash: 'a'.repeat(64) }
    const { jws } = await currentPolicy(office.store, hubKey, id, reported, office.now, { days: 30 }, audit)
    return openPolicy(jws, hubKey.publicKey, id, 0)
  }
  const first = await policy(0)
  t.notHas(first, 'audit', 'nothing is sealed yet')
  t.same(await policy(7), first)
  const second = await policy(8, first.serial + 1)
  t.same(second.audit, { seq: 8, hash: 'a'.repeat(64) })
  t.same(await policy(9, second.serial), second)
})

t.test('what agents hold convicts whoever changes the audit', async (t) => {
  const postgres = await findPostgres()
  const exchange = await Exchange.start()
  const url = await postgres.createDatabase()
  const source = await openClient(url)
  const folder = mkdtempSync(join(tmpdir(), 'qianzhi-audit-'))
  t.teardown(async () => {
    await exchange.stop()
    await source.end()
    await postgres.stop()
    rmSync(folder, { recursive: true })
  })
  const sources = [{ resource: 'people', database: 'front', table: 'people' }]
  const agent = await exchange.enrol('provider', { agency: 'provider', databases: { front: { url } }, sources })
  await source.query('create table people (code bigint primary key, name text)')
  await exchange.publish({
    resource: 'people',
    title: '人口',
    agency: 'provider',
    table: 'people',
    items: [
      { id: 'code', name: 'code', label: '编码', type: 'integer', key: true, openness: 'internal' },
      { id: 'name', name: 'name', label: '姓名', type: 'text', openness: 'internal' },
    ],
  })
  await agent.command('setup')
  agent.program.start()
  const held = async () => JSON.parse((await agent.command('audit', '--json')).stdout) as CheckpointFile
  let rows = 0
  await until('a receipt brought a checkpoint', async () => {
    await source.query(`insert into people values (${++rows}, '某人甲')`)
    // A policy may bring one before anything is stored.
    return (await agent.report())?.sources[0]?.lastPush !== undefined && (await held()).checkpoints.length > 0
  })

  const [file, checkpoints] = [join(folder, 'audit.jsonl'), join(folder, 'checkpoints.json')]
  writeFileSync(checkpoints, (await agent.commandLine('audit', '--json')).stdout)
  await exchange.office('audit', 'export', file)
  const verify = async (...words: string[]) => {
    const said = await runProgram(['hub/main.ts', 'audit', 'verify', ...words, '--config', '/nowhere.yaml', '--lang', 'en'], {
      failing: true,
    })
    return { ...said, json: (said.code === 0 && words.includes('--json') ? JSON.parse(said.stdout) : {}) as Partial<Verified> }
  }
  const { json, code } = await verify(file, '--checkpoints', checkpoints, '--json')
  t.equal(code, 0)
  t.match(json, { from: 1, keyExpected: true, checkpoints: { later: 0, outside: 0 } })
  t.ok(json.checkpoints!.matched > 0)
  t.match((await verify(file)).stdout, /Intact: entries 1 to \d+.*\n.*not compared with a known hub key/)
  t.match((await verify(file, `--hub-key=${generateSigningKey().publicKey}`)).stderr, 'QZ-AUDIT-SIGNATURE')

  const text = readFileSync(file, 'utf8')
  const lines = text.split('\n')
  t.ok(
    lines.some((line) => line.includes('"act":"supply"') && line.includes('"object":"people"')),
    'the supply is in it',
  )
  t.notMatch(text, '某人甲', 'no value of a row is')
  t.match(text, '"act":"audit.export"', 'nor is the export itself left out')
  writeFileSync(join(folder, 'altered'), text.replace('"act":"supply"', '"act":"supplx"'))
  const altered = await verify(join(folder, 'altered'))
  t.equal(altered.code, 1)
  t.match(altered.stderr, /QZ-AUDIT-ALTERED: Line \d+ of the audit export was altered/)

  t.same(
    await exchange
      .office('audit', 'export', join(folder, 'part'), '--from', '2', '--to', '3')
      .then(() => verify(join(folder, 'part'), '--json').then((said) => [said.json.from, said.json.to])),
    [2, 3],
  )
  t.match((await verify(join(folder, 'missing'))).stderr, 'QZ-REQUEST-INVALID')
  t.match((await verify(file, '--checkpoints', file)).stderr, 'QZ-REQUEST-INVALID')
  await t.rejects(exchange.office('audit', 'export', join(folder, 'none'), '--from', '100000'), /QZ-NOT-FOUND/)

  // What an agent was told that the chain does not say any more: it was rewritten, with the hub's own key.
  const told = JSON.parse(readFileSync(checkpoints, 'utf8')) as CheckpointFile
  const forged = { ...told, agent: 'other', checkpoints: told.checkpoints.map((checkpoint) => ({ ...checkpoint, hash: 'f'.repeat(64) })) }
  writeFileSync(checkpoints, `${JSON.stringify(told)}\n${JSON.stringify(forged)}\n`)
  const convicted = await verify(file, '--checkpoints', checkpoints)
  t.equal(convicted.code, 1)
  t.match(convicted.stderr, /QZ-AUDIT-CHECKPOINT: The audit contradicts the checkpoint .* agent other/)
})
