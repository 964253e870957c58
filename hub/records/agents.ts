import { QianzhiError } from '../../protocol/errors.ts'
import { localTime } from '../../protocol/local-time.ts'
import type { LocalizedText } from '../../protocol/localized.ts'
import type { Query } from '../store/store.ts'
import { notFound, rule } from './refusals.ts'

/** An agent: the program on an agency's front-end machine. */
export interface Agent {
  id: string
  agency: string
  name: string
  state: 'active' | 'revoked'
}

/** Since when an agent is revoked, and by which other one of its agency it was replaced, where that is so. */
export interface Revocation {
  revokedAt: Date | null
  replacedBy: string | null
}

/** SQL: its columns. */
export const revocation = 'revoked_at as "revokedAt", replaced_by as "replacedBy"'

/** QZ-AGENT-REVOKED, for the machine and its people: since when, by whom, and what is to be done. */
export function agentRevoked(agent: string, { revokedAt, replacedBy }: Revocation): QianzhiError {
  const at = revokedAt ? localTime(revokedAt) : ''
  if (replacedBy !== null) {
    const reason = { zh: `${at && `${at} `}由 ${replacedBy} 取代`, en: `${replacedBy} replaced it${at && ` at ${at}`}` }
    const next = {
      zh: `不会自动恢复：本单位改用 ${replacedBy}，请在本机停止 qianzhi-agent`,
      en: `it does not come back: ${replacedBy} is used in its place; stop qianzhi-agent on this machine`,
    }
    return new QianzhiError('QZ-AGENT-REVOKED', { agent, reason, next })
  }
  const reason = { zh: `${at && `${at} `}市电子政务办`, en: `by the office${at && ` at ${at}`}` }
  return new QianzhiError('QZ-AGENT-REVOKED', { agent, reason, next: enrolAnew(agent) })
}

/** The same of an agent that was found to be revoked. */
export async function readRevocation(query: Query, id: string): Promise<QianzhiError> {
  const [known] = await query<Revocation>(`select ${revocation} from agent where id = $1`, [id])
  return agentRevoked(id, known!)
}

/** What is to be done for a revoked agent. */
export function enrolAnew(agent: string): LocalizedText {
  return {
    zh: `不会自动恢复：仍需要的，由本单位信息化人员申请新前置机替换它（填写替换 ${agent}），批准后领取令牌，在新的数据目录执行 qianzhi-agent enroll；有疑问的，询问市电子政务办`,
    en: `it does not come back by itself: agency IT applies for a machine that replaces ${agent}, takes the token once it is approved and runs qianzhi-agent enroll with a new data folder; the office says why`,
  }
}

/** Throws QZ-NOT-FOUND, QZ-AGENT-REVOKED. */
export async function requireActiveAgent(query: Query, id: string): Promise<Agent> {
  const [agent] = await query<Agent>('select id, agency, name, state from agent where id = $1', [id])
  if (!agent) throw notFound('agent', id)
  if (agent.state === 'revoked') throw await readRevocation(query, id)
  return agent
}

/** The active agent that is meant where none is named: the agency's only one; null where it has none or several. */
export async function onlyAgent(query: Query, agency: string): Promise<string | null> {
  const active = await query<{ id: string }>(`select id from agent where agency = $1 and state = 'active' limit 2`, [agency])
  return active.length === 1 ? active[0]!.id : null
}

/** The same. Throws QZ-RULE where there is none, or several. */
export async function requireOnlyAgent(query: Query, agency: string): Promise<string> {
  const active = await query<{ id: string; name: string }>(
    `select id, name from agent where agency = $1 and state = 'active' order by id`,
    [agency],
  )
  if (active.length === 1) return active[0]!.id
  if (active.length === 0)
    throw rule(
      '本单位没有在用的前置机：由信息化人员申请一台，批准并领取令牌后即可使用',
      'your agency has no front-end machine in use: agency IT applies for one, and enrols it once it is approved',
    )
  const named = active.map(({ id, name }) => `${name} ${id}`)
  throw rule(
    `本单位有多台前置机，请指明一台：${named.join('、')}`,
    `your agency has several front-end machines: name one of ${named.join(', ')}`,
  )
}
