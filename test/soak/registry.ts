/** The long run of the registry's random histories: the tests in model/, many times over. The last line is JSON: `{ok, seed, steps, seconds}`. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { stepsOfHistory } from '../model/steps.ts'

/** Each has half of the steps. */
const models = ['sharing', 'duties'] as const

export interface RegistrySoak {
  steps: number
  seed: number
  say: (line: string) => void
}

/** @returns the exit code. */
export async function soakRegistry({ steps, seed, say }: RegistrySoak): Promise<number> {
  const histories = Math.ceil(steps / stepsOfHistory / models.length)
  say(`${models.join(' and ')}: ${histories} histories each of ${stepsOfHistory} steps, seed ${seed}`)
  const began = performance.now()
  const env = { ...process.env, QIANZHI_HISTORIES: String(histories), QIANZHI_SEED: String(seed), TAP_TIMEOUT: '0' }
  let ok = true
  for (const model of models) {
    const run = spawn(process.execPath, [`test/model/${model}.test.ts`], { env, stdio: 'inherit' })
    const [code] = (await once(run, 'exit')) as [number | null]
    ok = code === 0 && ok
  }
  say(
    JSON.stringify({
      ok,
      seed,
      steps: models.length * histories * stepsOfHistory,
      seconds: Math.round((performance.now() - began) / 1000),
    }),
  )
  return ok ? 0 : 1
}
