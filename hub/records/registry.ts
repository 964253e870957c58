import { Type } from 'typebox'
import { Compile } from 'typebox/compile'
import { QianzhiError } from '../../protocol/errors.ts'
import { objectNames } from './refusals.ts'
import { codePattern } from '../../protocol/schema.ts'
import type { Query, Store } from '../store/store.ts'
import type { Wakeups } from '../store/wakeups.ts'

/** What every registry function works with. */
export interface Registry {
  store: Store
  wakeups: Wakeups
  clock: () => Date
  /** `applications:` of hub.yaml. */
  applications?: { grantAtOnce: boolean }
}

/**
 * Runs a change of the registry: the change and its audit entries commit together, then the agents concerned are woken, whose next poll
 * brings their new policy. `work` adds the ids of those agents to `concerned`.
 */
export async function change<T>(registry: Registry, work: (query: Query, affectedAgents: Set<string>) => Promise<T>): Promise<T> {
  const affectedAgents = new Set<string>()
  const result = await registry.store.transaction((query) => work(query, affectedAgents))
  for (const agent of affectedAgents) registry.wakeups.wake(`agent:${agent}`)
  return result
}

/** What a change would do: it is done, and all of it taken back. */
async function rehearse<T>(registry: Registry, work: (query: Query) => Promise<T>): Promise<T> {
  const takenBack = new Error('rehearsed')
  const done: { result?: T } = {}
  try {
    await registry.store.transaction(async (query) => {
      done.result = await work(query)
      throw takenBack
    })
  } catch (error) {
    if (error !== takenBack) throw error
  }
  return done.result!
}

/** Runs a change of the registry that wakes no agent, or only says what it would do. */
export function changeOrRehearse<T>(registry: Registry, only: 'check' | undefined, work: (query: Query) => Promise<T>): Promise<T> {
  return only === 'check' ? rehearse(registry, work) : change(registry, work)
}

/** What stands in a resource's place in a path of an API. */
const taken: readonly string[] = ['standards']

const code = Compile(Type.String({ pattern: codePattern }))

/** Throws QZ-REQUEST-INVALID where a new code is not lower-case ASCII, or longer than what is derived from it allows. */
export function checkCode(value: string, what: keyof typeof objectNames, longest = 64): string {
  if (what === 'resource' && taken.includes(value))
    throw new QianzhiError('QZ-REQUEST-INVALID', {
      reason: { zh: `“${value}”不能用作资源代码`, en: `"${value}" can be no code of a resource` },
    })
  if (code.Check(value) && value.length <= longest) return value
  throw new QianzhiError('QZ-REQUEST-INVALID', {
    reason: {
      zh: `${objectNames[what]}代码“${value}”：只能用小写字母、数字和 . _ -，以字母或数字开头，至多 ${longest} 位`,
      en: `code "${value}" of the ${what}: use only a-z 0-9 . _ -, begin with a letter or digit, at most ${longest}`,
    },
  })
}
