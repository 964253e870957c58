import { codedError, QianzhiError } from '../../protocol/errors.ts'
import type { Policy } from '../../protocol/policy.ts'
import { gapOf } from '../config/gaps.ts'
import type { Check } from '../database.ts'
import { checkName, titled } from '../operator/check-names.ts'
import { clockChecks, databaseChecks, failed, passed, policyCheck, stoppedChecks, unplacedChecks } from '../operator/doctor.ts'
import { openState } from '../runtime/state.ts'
import type { Command, CommandDeps } from './command.ts'
import { freshPolicy, openHub, openForCommand } from './connect.ts'

/** Checks everything that running will need, and says the remedy of what fails. Exit code 1 where anything does. */
export const doctor: Command = async (context) => {
  const checks = await allChecks(context)
  if (context.options['json']) context.print(JSON.stringify(titled(checks), undefined, 2))
  else for (const check of checks) showCheck(context, check)
  return checks.every(({ ok }) => ok) ? 0 : 1
}

function showCheck({ say }: CommandDeps, { ok, name, zh, en }: Check): void {
  const [mark, title] = [ok ? '✓' : '✗', checkName(name)]
  say(`${mark} ${title.zh}：${zh}`, `${mark} ${title.en}: ${en}`)
}

async function allChecks(deps: CommandDeps): Promise<Check[]> {
  const { config, version } = deps
  const identity = openState(config.data).data.identity
  if (!identity) return [failed('enrolment', new QianzhiError('QZ-NOT-ENROLLED'))]
  const checks: Check[] = [
    passed('enrolment', `代理 ${identity.agent}，机关单位 ${identity.agency}`, `agent ${identity.agent} of ${identity.agency}`),
  ]
  let policy: Policy | undefined
  try {
    policy = await freshPolicy(config, version)
    checks.push(...(await hubChecks(deps, policy)), ...unplacedChecks(config, policy), ...stoppedChecks(config, policy))
  } catch (error) {
    checks.push(failed('hub', codedError(error)))
  }
  for (const name of Object.keys(config.databases)) {
    const database = await openForCommand(config, name)
    try {
      checks.push(...(await databaseChecks(config, database, policy)))
    } finally {
      await database.close()
    }
  }
  return checks
}

async function hubChecks({ config }: CommandDeps, policy: Policy | undefined): Promise<Check[]> {
  if (gapOf(config)) {
    const inside = passed('hub', '在网闸内侧：以目录代替中心', 'behind a one-way gap: folders in the place of the hub')
    return [inside, policyCheck(policy, new Date(), config.timezone)]
  }
  const hub = openHub(config)
  try {
    const resource = config.sources[0]?.resource ?? 'none'
    await hub.head(resource).catch((error) => {
      if (!['QZ-NOT-FOUND', 'QZ-SUPPLY-NOT-ALLOWED'].includes(codedError(error).code)) throw error
    })
    return [
      passed('hub', '连接与证书正常', 'connection and certificate are good'),
      ...clockChecks(hub.clockOffset),
      policyCheck(policy, hub.now(), config.timezone),
    ]
  } finally {
    await hub.close()
  }
}
