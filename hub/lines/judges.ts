import { counted } from '../../protocol/localized.ts'
import { errorKind, isErrorCode } from '../../protocol/errors.ts'
import { stopText } from '../../protocol/policy.ts'
import { comparePositions } from '../../protocol/position.ts'
import type { Condition, Fault, Finding, Line, Segment, Turn } from './line.ts'
import { actorOf } from '../records/route-stops.ts'

type Known = Omit<Line, keyof Finding>
/** Undefined where this is not what holds the line up. */
type Judge = (known: Known, now: Date) => Turn | undefined

/** Whose turn it may be, and what people call it. */
type Side = Pick<Line['source'], 'agency' | 'agencyName'>

/** An agent polls at least once a minute (`hub.poll` of its configuration). */
export const silentAfter = 65_000

const isSilent = (seen: Date | null, now: Date): boolean => !seen || now.getTime() - seen.getTime() > silentAfter

/** The first that applies is what holds the line up: what ends a route before what stops it, the source before the hub and the receiver. */
export function findingOf(known: Known, now: Date): Finding {
  for (const [condition, at, judge] of judges) {
    const turn = judge(known, now)
    if (turn) return { condition, at: typeof at === 'function' ? at(known) : at, turn }
  }
  const turn: Turn = { who: 'nobody', zh: '数据已是最新，无需处理', en: 'Everything is up to date, nothing has to be done' }
  return { condition: 'flowing', at: null, turn }
}

/** Of a source that an agent reads. */
const ofAgent =
  (judge: Judge): Judge =>
  (known, now) =>
    known.source.entered ? undefined : judge(known, now)

type KnownRoute = Known & { receiver: NonNullable<Known['receiver']>; route: string }

const ofRoute =
  (judge: (known: KnownRoute, now: Date) => Turn | undefined): Judge =>
  (known, now) =>
    isRoute(known) ? judge(known, now) : undefined

/** The same, not a copy of it: of a whole city thousands are judged for a page. */
function isRoute(known: Known): known is KnownRoute {
  return known.receiver !== null && known.route !== null
}

function stoppedAt({ state }: Known): Segment {
  const who = actorOf(state)
  return who === 'provider' || who === 'receiver' ? who : 'hub'
}

const judges: readonly (readonly [Condition, Segment | null | ((known: Known) => Segment), Judge])[] = [
  [
    'stopped',
    stoppedAt,
    ({ state, stop, source, receiver }) => {
      if (!stop) return undefined
      const who = actorOf(state)
      const agency = who === 'provider' || !receiver ? source.agency : receiver.agency
      const told = stopText(stop)
      const next = stop.next!
      return {
        who,
        ...(who !== 'office' && { agency }),
        zh: `${told.zh}。${next.zh}`,
        en: `${told.en}. Then: ${next.en}`,
      }
    },
  ],
  [
    'held',
    'receiver',
    ofRoute(({ receiver: { active, agency, agencyName, agent } }) =>
      active
        ? undefined
        : {
            who: 'operator',
            agency,
            zh: `接收代理 ${agent} 已被撤销：请${agencyName}的信息化人员申请新前置机替换它`,
            en: `Receiving agent ${agent} is revoked: agency IT of ${agencyName} applies for a machine that replaces it`,
          },
    ),
  ],
  [
    'held',
    'provider',
    ofAgent(({ source: { agent, agency, agencyName } }) =>
      agent === null
        ? {
            who: 'provider',
            agency,
            zh: `${agencyName}没有可提供此资源的代理，或有多个而未指定：请其信息化人员登记前置机，或由其编目人员、审核人员在控制台“目录登记”的“提供的代理”中指定`,
            en: `${agencyName} has no agent that supplies this resource, or several and none is named: its IT enrols one, or its registrar and reviewer name its producing agent in the console (Registrations)`,
          }
        : undefined,
    ),
  ],
  ['held', 'provider', ofAgent(({ source }, now) => (isSilent(source.seen, now) ? start(source, source.agent!) : undefined))],
  ['paused', 'provider', ({ source, resource }) => (source.report?.state === 'paused' ? resume(source, resource) : undefined)],
  ['held', 'provider', ({ source }) => (source.report?.fault ? mend(source, 'provider', source.report.fault) : undefined)],
  [
    'unknown',
    'provider',
    ofAgent(({ source: { agency, agencyName, agent, report, told } }) =>
      report
        ? undefined
        : !told
          ? untold(agencyName, agent!)
          : {
              who: 'operator',
              agency,
              zh: `请在${agencyName}的代理 ${agent} 上配置来源并执行 setup`,
              en: `Configure a source on agent ${agent} of ${agencyName} and run setup`,
            },
    ),
  ],
  ['held', 'receiver', ofRoute(({ receiver }, now) => (isSilent(receiver.seen, now) ? start(receiver, receiver.agent) : undefined))],
  ['paused', 'receiver', ofRoute(({ receiver, route }) => (receiver.report?.state === 'paused' ? resume(receiver, route) : undefined))],
  ['held', 'receiver', ofRoute(({ receiver }) => (receiver.report?.fault ? mend(receiver, 'receiver', receiver.report.fault) : undefined))],
  [
    'unknown',
    'receiver',
    ofRoute(({ receiver: { agency, agencyName, agent, report, told } }) =>
      report
        ? undefined
        : !told
          ? untold(agencyName, agent)
          : {
              who: 'operator',
              agency,
              zh: `请在${agencyName}的代理 ${agent} 上为此路由配置落地`,
              en: `Configure a sink for this route on agent ${agent} of ${agencyName}`,
            },
    ),
  ],
  [
    'held',
    'receiver',
    ofRoute(({ receiver: { agency, agencyName, lapsed } }) =>
      lapsed
        ? {
            who: 'operator',
            agency,
            zh: `路由长期未前进，请检查${agencyName}的目标库`,
            en: `The route has not moved for long: look at the target database of ${agencyName}`,
          }
        : undefined,
    ),
  ],
  [
    'loading',
    'provider',
    ({ source: { report } }) =>
      report?.snapshot?.waits === 'window'
        ? {
            who: 'nobody',
            zh: '快照等待来源代理允许的时段（自动）',
            en: 'The snapshot waits for the hours that the source agent allows (by itself)',
          }
        : undefined,
  ],
  [
    'held',
    'provider',
    ({ source: { agency, agencyName, entered }, hub: { head } }) =>
      entered && !head
        ? {
            who: 'provider',
            agency,
            zh: `${agencyName}尚未填报：由其编目人员填报数据`,
            en: `${agencyName} has entered no rows yet: its registrar does`,
          }
        : undefined,
  ],
  [
    'loading',
    'provider',
    ({ hub: { snapshotWanted, head } }) =>
      snapshotWanted || !head
        ? { who: 'nobody', zh: '等待来源代理发送快照（自动）', en: 'The source agent is about to send a snapshot (by itself)' }
        : undefined,
  ],
  [
    'partial',
    'provider',
    ({ source: { agency, agencyName, refusedFile } }) =>
      refusedFile
        ? {
            who: 'provider',
            agency,
            zh: `${agencyName}最近的文件被退回（${refusedFile.code}）：请按其目录 rejected/ 中的报告改正后重新投放`,
            en: `The newest file of ${agencyName} was refused (${refusedFile.code}): correct it by the report in its folder's rejected/ and put it in again`,
          }
        : undefined,
  ],
  ['partial', 'provider', ({ source }) => quarantined(source, 'provider', source.report?.quarantine)],
  ['partial', 'receiver', ofRoute(({ receiver }) => quarantined(receiver, 'receiver', receiver.quarantine))],
  [
    'partial',
    'hub',
    ({ route, reconciled }) =>
      reconciled.state === 'different'
        ? {
            who: 'operator',
            zh: `最近一次对账（${reconciled.run}）不一致：请查看差异主键，带修复重新对账（reconcile ${route} --repair）或重新快照`,
            en: `The last reconciliation (${reconciled.run}) found differences: look at its keys, reconcile with repair (reconcile ${route} --repair) or take a new snapshot`,
          }
        : undefined,
  ],
  [
    'flowing',
    null,
    ofRoute(({ hub: { head }, receiver: { applied, delivered } }) => {
      if (applied && comparePositions(applied, head!) >= 0) return undefined
      const fetched = delivered && comparePositions(delivered, head!) >= 0
      return fetched
        ? { who: 'nobody', zh: '接收代理正在入库（自动）', en: 'The receiving agent is applying (by itself)' }
        : { who: 'nobody', zh: '接收代理正在取数（自动）', en: 'The receiving agent is fetching (by itself)' }
    }),
  ],
  [
    'flowing',
    null,
    ({ source: { report } }) =>
      report && report.waiting > 0
        ? { who: 'nobody', zh: '来源代理正在发送（自动）', en: 'The source agent is sending (by itself)' }
        : undefined,
  ],
]

function start({ agency, agencyName }: Side, agent: string): Turn {
  return {
    who: 'operator',
    agency,
    zh: `请启动${agencyName}的代理 ${agent} 或检查其网络`,
    en: `Start agent ${agent} of ${agencyName}, or look at its network`,
  }
}

/** Between an agent's first poll and its first policy. */
function untold(agencyName: string, agent: string): Turn {
  return {
    who: 'nobody',
    zh: `${agencyName}的代理 ${agent} 已连接，启动后随即报告其链路情况（自动）`,
    en: `Agent ${agent} of ${agencyName} is connected, and tells of its lines soon after its start (by itself)`,
  }
}

function resume({ agency, agencyName }: Side, name: string): Turn {
  return {
    who: 'operator',
    agency,
    zh: `${agencyName}已暂停，需要时请在其代理上执行 qianzhi-agent resume ${name}`,
    en: `${agencyName} has paused it: run qianzhi-agent resume ${name} at its agent when it is to go on`,
  }
}

function mend({ agency, agencyName }: Side, side: 'provider' | 'receiver', { code, zh, en, next }: Fault): Turn {
  const who = isErrorCode(code) ? errorKind(code).who : side
  const then = next ? { zh: `。${next.zh}`, en: `. Then: ${next.en}` } : { zh: '', en: '' }
  return { who, agency, zh: `${agencyName}：${zh}（${code}）${then.zh}`, en: `${agencyName}: ${en} (${code})${then.en}` }
}

function quarantined({ agency, agencyName }: Side, who: 'provider' | 'receiver', keys = 0): Turn | undefined {
  if (keys === 0) return undefined
  if (who === 'provider')
    return {
      who,
      agency,
      zh: `${agencyName}隔离区有 ${keys} 个主键，请修正数据`,
      en: `the quarantine of ${agencyName} holds ${counted(keys, 'key')}: correct their data`,
    }
  return {
    who,
    agency,
    zh: `${agencyName}的落地表拒绝了 ${keys} 个主键：数据有误的由提供单位改正（已自动提出更正），是本单位约束过严的请放宽`,
    en: `The table of ${agencyName} refuses ${counted(keys, 'key')}: the provider corrects what is wrong with the data (a correction was reported), ${agencyName} its own constraints`,
  }
}
