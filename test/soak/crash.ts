/** Rounds of faults, several in each and often two at once, with a network between agents and hub that drops and stalls. */
import { Chaos, faults, isEqual, showDifference, type Fault } from '../faults/chaos.ts'
import type { Random } from '../faults/random.ts'
import { startPostgres } from '../support/postgres.ts'
import { startProxy, type Proxy } from '../support/proxy.ts'

export interface CrashSoak {
  rounds: number
  rows: number
  seed: number
  say: (line: string) => void
}

/** Ends at the first difference, with the rows that differ. @returns the exit code. */
export async function soakCrashes({ rounds, rows, seed, say }: CrashSoak): Promise<number> {
  say(`${rounds} rounds, seed ${seed}`)
  const [source, target] = await Promise.all([startPostgres(), startPostgres()])
  const hub = { host: '127.0.0.1', port: 0 }
  const proxy = await startProxy(hub)
  const hubUrl = (port: number): string => {
    hub.port = port
    return `https://127.0.0.1:${proxy.port}`
  }
  const chaos = await Chaos.start({ seed, source, target, rows, exchange: { hubUrl }, note: say })
  try {
    for (let round = 1; round <= rounds; round++) {
      const found = await soakRound(chaos, proxy, { round, say })
      if (found === undefined) continue
      say(`${found}\nround ${round} failed; again with: npm run soak -- --rounds ${round} --seed ${seed}`)
      return 1
    }
    say(`${rounds} rounds, both ends equal after each; ${chaos.writers.committed} transactions, ${chaos.watch.looks} looks at the target`)
    return 0
  } finally {
    await chaos.stop()
    await proxy.close()
    await Promise.all([source.stop(), target.stop()])
  }
}

/** @returns what is wrong after it. */
async function soakRound(
  chaos: Chaos,
  proxy: Proxy,
  { round, say }: { round: number; say: (line: string) => void },
): Promise<string | undefined> {
  const { random } = chaos
  say(`round ${round}`)
  const weather = disturb(chaos, proxy, random.fork())
  const result = await chaos.round(someFaults(random), async () => {
    for (let more = random.between(0, 2); more > 0; more--) {
      await chaos.writers.pass(random.between(1, 60))
      const struck = someFaults(random)
      say(`and ${struck.join(' + ')}`)
      await chaos.strike(struck)
    }
    await weather.clear()
  })
  const wrong = await chaos.faultsFound()
  if (!isEqual(result)) wrong.unshift(showDifference(result))
  return wrong.length > 0 ? wrong.join('\n') : undefined
}

/** One fault, or two at once. */
function someFaults(random: Random): Fault[] {
  const first = random.pick(faults)
  const second = random.pick(faults)
  return random.chance(0.4) && second !== first ? [first, second] : [first]
}

/** The network drops, stalls, or loses answers, for some transactions at a time, until it clears. */
function disturb({ writers }: Chaos, proxy: Proxy, random: Random): { clear: () => Promise<void> } {
  const clearing = new AbortController()
  const storm = async (): Promise<void> => {
    while (!clearing.signal.aborted) {
      await writers.pass(random.between(10, 80))
      if (clearing.signal.aborted) break
      proxy[random.pick(['drop', 'stall', 'halfOpen'] as const)]()
      await writers.pass(random.between(1, 40))
      proxy.resume()
    }
  }
  const storming = storm().finally(() => proxy.resume())
  storming.catch(() => undefined)
  return {
    async clear() {
      clearing.abort()
      await storming
    },
  }
}
