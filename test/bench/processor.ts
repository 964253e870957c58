/** Processor seconds (user and system) of processes and of all that they started, whether or not that still runs. From /proc: Linux only. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

interface Stat {
  pid: number
  parent: number
  seconds: number
}

/** In ticks of a hundredth of a second (proc(5): fields 14 to 17, of children that were waited for too). */
function statOf(pid: string): Stat | undefined {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ')
    const ticks = [11, 12, 13, 14].reduce((sum, field) => sum + Number(fields[field]), 0)
    return { pid: Number(pid), parent: Number(fields[1]), seconds: ticks / 100 }
  } catch {
    return undefined
  }
}

/** `roots` by name; each with all processes below it, but for those that are roots themselves. */
export function processorSeconds(roots: Readonly<Record<string, number>>): Record<string, number> {
  const all = readdirSync('/proc').flatMap((name) => (/^\d+$/.test(name) ? (statOf(name) ?? []) : []))
  const names = new Map(Object.entries(roots).map(([name, pid]) => [pid, name]))
  const byPid = new Map(all.map((one) => [one.pid, one]))
  const seconds = Object.fromEntries(Object.keys(roots).map((name) => [name, 0]))
  for (const one of all) {
    let above: Stat | undefined = one
    while (above && !names.has(above.pid)) above = byPid.get(above.parent)
    if (above) seconds[names.get(above.pid)!]! += one.seconds
  }
  return seconds
}

/** The first process of a PostgreSQL server. */
export function postmasterOf(dataDir: string): number {
  return Number(readFileSync(join(dataDir, 'postmaster.pid'), 'utf8').split('\n')[0])
}

/** µs of processor per row by name between two moments, and their sum. */
export function perRow(
  before: Readonly<Record<string, number>>,
  after: Readonly<Record<string, number>>,
  rows: number,
): Record<string, number> {
  const spent = Object.fromEntries(Object.entries(after).map(([name, seconds]) => [name, ((seconds - before[name]!) * 1e6) / rows]))
  return { ...spent, sum: Object.values(spent).reduce((sum, one) => sum + one, 0) }
}

export function showPerRow(figures: Readonly<Record<string, number>>): string {
  return Object.entries(figures)
    .map(([name, figure]) => `${name} ${figure.toFixed(1)}`)
    .join(', ')
}
