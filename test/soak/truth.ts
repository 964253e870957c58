/**
 * The long test of all guarantees at once: applications write into the tables of two engines while programs and databases are killed, links cut,
 * tables locked and altered, disks filled and clocks set wrong. From time to time all faults end, and each pair of tables is compared row by row.
 * The last line is JSON: `{ok, seed, minutes, rounds, transactions, faults, rows, lost, different, surplus, back, taken, held, quarantined}`.
 */
import { cpSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { openClient, type Client } from '../support/client.ts'
import { until } from '../support/programs.ts'
import { neverCommitted } from './applications.ts'
import { buildCity, type CaptureChoice, type City, type Pair } from './city.ts'
import { rumours } from './neighbour.ts'
import { compareTables, count, type TableDifference } from './compare.ts'
import { strikes, type Strike } from './strikes.ts'

export interface TruthSoak {
  minutes: number
  seed: number
  capture: CaptureChoice
  say: (line: string) => void
}

interface Found {
  rounds: number
  faults: Record<string, number>
  differences: { pair: Pair; found: TableDifference }[]
  /** Counters that fell, and rows that were never committed. */
  back: string[]
  taken: readonly string[]
  held: string[]
  quarantined: number
}

/** Faults of a round, and seconds for all to become equal after it: the longest pause between tries of what was refused, and some work. */
const faultsOfRound = 6
const patience = 240
const lookEveryMs = 100

/** @returns the exit code. */
export async function soakTruth({ minutes, seed, capture, say }: TruthSoak): Promise<number> {
  say(`${minutes} minutes, seed ${seed}, capture ${capture}`)
  const city = await buildCity(seed, capture)
  const found: Found = { rounds: 0, faults: {}, differences: [], back: [], taken: city.taken, held: [], quarantined: 0 }
  const ending = Date.now() + minutes * 60_000
  try {
    city.provider.program.start()
    city.receiver.program.start()
    await settle(city, found, say)
    do {
      await round(city, found, say)
      await settle(city, found, say)
    } while (Date.now() < ending && isSound(found))
    const sum = (of: keyof Omit<TableDifference, 'rows'>) => found.differences.reduce((all, { found: one }) => all + one[of].length, 0)
    for (const line of [...shown(found), ...found.back, ...found.taken, ...found.held]) say(line)
    const ok = isSound(found)
    const transactions = city.applications.reduce((all, { committed }) => all + committed, 0)
    const rows = found.differences.reduce((all, { found: one }) => all + one.rows, 0)
    const { rounds, faults, back, taken, held, quarantined } = found
    const told = { ok, seed, minutes, rounds, transactions, faults, tables: city.pairs.length, rows }
    const wrong = {
      lost: sum('lost'),
      different: sum('different'),
      surplus: sum('surplus'),
      back: back.length,
      taken: taken.length,
      held,
      quarantined,
    }
    if (!ok)
      say(`again with: npm run soak -- truth --minutes ${minutes} --capture ${capture} --seed ${seed}; logs are in ${keepLogs(city, seed)}`)
    say(JSON.stringify({ ...told, ...wrong }))
    return ok ? 0 : 1
  } finally {
    await city.stop()
  }
}

/** @returns where they are. */
function keepLogs({ exchange, provider, receiver }: City, seed: number): string {
  const folder = mkdtempSync(join(tmpdir(), `qianzhi-soak-${seed}-`))
  for (const { log } of [exchange.hub, provider.program, receiver.program])
    cpSync(log, join(folder, `${basename(dirname(log))}-${basename(log)}`))
  return folder
}

function isSound({ differences, back, taken, held, quarantined }: Found): boolean {
  return differences.every(({ found }) => count(found) === 0) && back.length + taken.length + held.length + quarantined === 0
}

function shown({ differences }: Found): string[] {
  return differences.flatMap(({ pair: { resource }, found }) =>
    (['lost', 'different', 'surplus'] as const).flatMap((kind) => found[kind].slice(0, 3).map((row) => `${resource} ${kind}: ${row}`)),
  )
}

/** Applications at work, one fault or two at a time. */
async function round(city: City, found: Found, say: (line: string) => void): Promise<void> {
  const { random } = city
  found.rounds++
  const working = new AbortController()
  const work = [...city.applications.map((one) => one.run(working.signal)), watch(city, found, working.signal)]
  const open = new Map<string, Strike>()
  // What a soak of moves is for comes more often.
  const kinds = [...Object.keys(strikes), ...(city.moveSource ? ['move', 'move'] : [])]
  for (let n = 0; n < faultsOfRound; n++) {
    const kind = random.pick(kinds.filter((one) => !open.has(one)))
    // A lock or a change that cannot be had while something else is broken is none.
    const strike = await strikes[kind]!(city).catch((error: Error) => {
      say(`no ${kind}: ${error.message}`)
      return undefined
    })
    if (strike) {
      found.faults[kind] = (found.faults[kind] ?? 0) + 1
      say(strike.name)
      open.set(kind, strike)
    }
    await pass(city, random.chance(0.15) ? 400 : random.between(20, 120))
    if (open.size === 2 || random.chance(0.6)) await endAll(open)
  }
  await endAll(open)
  await pass(city, 50)
  working.abort()
  await Promise.all(work)
}

/** Each as soon as it can be: a table is put right when its database is back. */
async function endAll(open: Map<string, Strike>): Promise<void> {
  await Promise.all([...open.values()].map((strike) => until(`the end of: ${strike.name}`, () => strike.end().then(() => true))))
  open.clear()
}

/** Waits for so many transactions, or for as long as they need where one database is down. */
async function pass({ applications }: City, transactions: number): Promise<void> {
  const committed = () => applications.reduce((all, one) => all + one.committed, 0)
  const goal = committed() + transactions
  await until('transactions', () => committed() >= goal, 10).catch(() => undefined)
}

/** Until all pairs are equal, nothing is set aside and all routes flow; what is wrong where they do not become so. */
async function settle(city: City, found: Found, say: (line: string) => void): Promise<void> {
  const began = Date.now()
  await until(
    'all is equal',
    async () => {
      await look(city, found)
      return isSound(found)
    },
    patience,
  ).catch((error: Error) => say(`not settled: ${error.cause instanceof Error ? error.cause.message : error.message}`))
  const rows = found.differences.reduce((all, one) => all + one.found.rows, 0)
  say(`round ${found.rounds}: ${isSound(found) ? 'equal' : 'NOT equal'} after ${((Date.now() - began) / 1000).toFixed(1)} s, ${rows} rows`)
}

async function look(city: City, found: Found): Promise<void> {
  const reports = [await city.provider.report(), await city.receiver.report()]
  // What a hostile agency supplies may be refused; that it holds nothing beside it is seen in the others.
  const streams = reports.flatMap((report) => [...report!.sources, ...report!.sinks]).filter(({ resource }) => resource !== rumours)
  found.quarantined = streams.reduce((all, { quarantine }) => all + quarantine, 0)
  found.held = streams.flatMap(({ resource, state, fault }) =>
    state === 'flowing' && !fault ? [] : [`${resource}: ${state} ${fault?.code ?? ''}`],
  )
  found.differences = []
  const clients = new Map<string, Client>()
  const client = async (url: string): Promise<Client> => {
    const opened = clients.get(url) ?? (await openClient(url))
    clients.set(url, opened)
    return opened
  }
  try {
    for (const pair of city.pairs) {
      const [source, target] = [await client(city.urls.source[pair.from]), await client(city.urls.target[pair.to])]
      found.differences.push({ pair, found: await compareTables(pair.table, source, target) })
    }
  } finally {
    for (const one of clients.values()) await one.end().catch(() => undefined)
  }
}

/** No counter may ever fall at a receiver, nor a row be seen that was never committed. */
async function watch(city: City, found: Found, signal: AbortSignal): Promise<void> {
  const seen = new Map<string, number>()
  while (!signal.aborted) {
    for (const url of Object.values(city.urls.target)) {
      const client = await openClient(url).catch(() => undefined)
      const rows = await client?.query('select id, c1, c0 from wide where id < 0').catch(() => undefined)
      for (const [id, counter, text] of rows ?? []) {
        const name = `counter ${id} of ${new URL(url).protocol}`
        if (text === neverCommitted) found.back.push(`${name} shows what was never committed`)
        if (Number(counter) < (seen.get(name) ?? 0)) found.back.push(`${name} fell from ${seen.get(name)} to ${counter}`)
        seen.set(name, Number(counter))
      }
      await client?.end().catch(() => undefined)
    }
    await sleep(lookEveryMs)
  }
}
