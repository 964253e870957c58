/** The places of the console: what is listed where, and which of its members are columns. */
import { t } from './words.tsx'
import type { Text } from './meta.ts'

export interface Place {
  /** First part of its address. */
  readonly path: string
  readonly name: Text
  /** What it is called where only the own agency's are shown. */
  readonly own?: Text
  /** The operation that lists; the right to it makes the place visible. */
  readonly list: string
  /** Kind of the objects that are listed, where each has a page: it is read by `<kind>.read`. */
  readonly kind?: string
  readonly columns: readonly string[]
  /** Member by which a line is found again. */
  readonly id?: string
  /** Where the first column leads, where its lines have no page of their own. */
  readonly link?: (line: Readonly<Record<string, unknown>>, can: Can) => string | undefined
  /** Operations that make something new. */
  readonly make?: readonly string[]
  /** What a line may lead to, for who has the right: dialogs that begin with what the line says. */
  readonly leads?: (line: Readonly<Record<string, unknown>>) => readonly Lead[]
  /** They can be brought by a file, by who may call one of these. */
  readonly imports?: readonly string[]
  /** Several lines are decided on together, those in this state. */
  readonly decided?: { readonly by: string; readonly state: string }
  /** Operations on a line. */
  readonly on?: readonly string[]
  /** Where something new begins that takes more than one step. */
  readonly begin?: { readonly right: string; readonly address: string; readonly name: Text }
}

/** An operation that makes something new, and what its dialog begins with. */
export interface Lead {
  readonly make: string
  /** Path of its list. */
  readonly path: string
  readonly initial: Readonly<Record<string, string | Text>>
}

type Can = (operation: string) => boolean

/** Where a case is read, for who may read such cases; what the API says of it is below its own prefix. A webhook stands on its grant's page. */
export function addressOfCase(link: unknown, can: Can): string | undefined {
  if (typeof link !== 'string') return undefined
  const [, path] = /^\/([a-z-]+)/.exec(link) ?? []
  const list = places.find((place) => place.path === path)?.list
  return path === 'resources' || (list !== undefined && can(list)) ? link.replace(/\/webhooks$/, '') : undefined
}

/** `order 7`, as deadlines name what they are about; a consent, `consent 7 civil`, is part of its application. */
function addressOfObject(object: string, can: Can): string | undefined {
  const [kind = '', id = ''] = object.split(' ')
  const place = placeOfKind(kind === 'consent' ? 'application' : kind)
  return place && can(place.list) ? `/${place.path}/${encodeURIComponent(id)}` : undefined
}

/** An overdue duty is ordered to be put right; its holder explains it, or one that still runs. */
function leadsOfDuty(line: Readonly<Record<string, unknown>>): readonly Lead[] {
  if (line['state'] !== 'overdue' && line['state'] !== 'running') return []
  const [title, resource, agency, period, to] = ['title', 'resource', 'agency', 'period', 'to'].map((member) => String(line[member])) as [
    string, string, string, string, string,
  ] // prettier-ignore
  const text = t(
    `《${title}》（${resource}）${period}（截至 ${to}）逾期未更新，也未说明，请于期限内更新。`,
    `"${title}" (${resource}) was neither updated nor explained in ${period} (until ${to}): update it in time.`,
  )
  const unchanged = t(`《${title}》本期数据没有变化。`, `Nothing changed in "${title}" in this period.`)
  const explain = { make: 'declaration.create', path: 'declarations', initial: { kind: 'no-change', resource, period, text: unchanged } }
  const order = { make: 'order.issue', path: 'orders', initial: { agency, resource, period, cause: 'update', text } }
  return line['state'] === 'overdue' ? [explain, order] : [explain]
}

export interface Group {
  readonly name: Text
  /** Pages that are no lists, with the operation whose right makes each visible. */
  readonly pages?: readonly { readonly path: string; readonly name: Text; readonly right: string }[]
  readonly places: readonly Place[]
}

export const groups: readonly Group[] = [
  {
    name: t('采集提供', 'Supplying'),
    pages: [{ path: 'classifications', name: t('信息资源分类', 'Classification'), right: 'classification.add' }],
    places: [
      {
        path: 'resources',
        name: t('资源状况', 'Resources'),
        own: t('我的资源', 'My resources'),
        list: 'resource.list',
        kind: 'resource',
        id: 'code',
        columns: ['title', 'agency', 'state', 'openness', 'cycle', 'updated', 'duty', 'held', 'receivers', 'draft'],
      },
      {
        path: 'registrations',
        name: t('目录登记', 'Registrations'),
        list: 'registration.list',
        kind: 'registration',
        columns: ['id', 'title', 'resource', 'items', 'state', 'draftedBy', 'draftedAt', 'submittedAt'],
        begin: { right: 'registration.create', address: '/registrations/new', name: t('登记信息资源', 'Register a resource') },
      },
      {
        path: 'standards',
        name: t('数据标准', 'Data standards'),
        list: 'standard.list',
        kind: 'standard',
        id: 'code',
        columns: ['code', 'title', 'state', 'version', 'published', 'adopters'],
        begin: { right: 'standard.create', address: '/standards/new', name: t('起草数据标准', 'Draft a standard') },
      },
      {
        path: 'duties',
        name: t('更新义务', 'Update duties'),
        list: 'duty.list',
        leads: leadsOfDuty,
        columns: ['title', 'agency', 'period', 'from', 'to', 'state', 'updatedOn', 'excuse'],
        link: ({ resource }) => `/resources/${encodeURIComponent(String(resource))}`,
      },
      {
        path: 'declarations',
        name: t('说明与报告', 'Declarations'),
        list: 'declaration.list',
        kind: 'declaration',
        columns: ['id', 'kind', 'agency', 'resource', 'period', 'state', 'created'],
        make: ['declaration.create'],
      },
    ],
  },
  {
    name: t('共享应用', 'Sharing'),
    places: [
      {
        path: 'applications',
        name: t('共享申请', 'Applications'),
        list: 'application.list',
        kind: 'application',
        columns: ['id', 'title', 'agency', 'mode', 'purpose', 'state', 'submitted'],
        decided: { by: 'application.decide-many', state: 'reviewing' },
      },
      {
        path: 'grants',
        name: t('已获授权', 'Grants'),
        list: 'grant.list',
        kind: 'grant',
        columns: ['title', 'provider', 'agency', 'mode', 'items', 'state', 'validTo'],
      },
      {
        path: 'demands',
        name: t('目录外需求', 'Demands'),
        list: 'demand.list',
        kind: 'demand',
        columns: ['id', 'title', 'agency', 'provider', 'state', 'created'],
        make: ['demand.create'],
      },
      {
        path: 'corrections',
        name: t('数据更正', 'Corrections'),
        list: 'correction.list',
        kind: 'correction',
        columns: ['id', 'resource', 'agency', 'provider', 'fault', 'state', 'created'],
      },
      {
        path: 'publications',
        name: t('公开授权', 'Publishing requests'),
        list: 'publication.list',
        kind: 'publication',
        columns: ['id', 'resource', 'agency', 'provider', 'items', 'state', 'created'],
      },
      {
        path: 'openings',
        name: t('对外开放', 'Open data'),
        list: 'opening.list',
        kind: 'opening',
        columns: ['id', 'title', 'provider', 'items', 'state', 'released'],
      },
    ],
  },
  {
    name: t('前置机', 'Front-end machines'),
    places: [
      {
        path: 'machines',
        name: t('前置机申请', 'Machine applications'),
        list: 'machine.list',
        kind: 'machine',
        columns: ['id', 'agency', 'name', 'state', 'agent', 'created'],
        make: ['machine.apply'],
      },
      {
        path: 'agents',
        name: t('前置机', 'Machines'),
        list: 'agent.list',
        kind: 'agent',
        columns: ['id', 'agency', 'name', 'state', 'lastSeen', 'morning', 'refusedFiles'],
      },
      {
        path: 'lines',
        name: t('交换链路', 'Lines'),
        list: 'line.list',
        columns: ['title', 'provider', 'receiver', 'chain', 'state', 'age', 'quarantine', 'today', 'turn'],
        link: (line) =>
          typeof line['grant'] === 'string'
            ? `/grants/${encodeURIComponent(line['grant'])}`
            : `/resources/${encodeURIComponent(String(line['resource']))}`,
      },
      {
        path: 'reconciliations',
        name: t('对账', 'Reconciliations'),
        list: 'reconciliation.list',
        kind: 'reconciliation',
        columns: ['id', 'resource', 'receiver', 'state', 'requested', 'ended', 'rows'],
      },
      {
        path: 'jobs',
        name: t('任务', 'Jobs'),
        list: 'job.list',
        kind: 'job',
        columns: ['id', 'kind', 'resource', 'state', 'done', 'total', 'by', 'created'],
      },
    ],
  },
  {
    name: t('监督检查', 'Supervision'),
    pages: [
      { path: 'board', name: t('更新监督', 'Board of duties'), right: 'duty.board' },
      { path: 'statistics', name: t('统计', 'Statistics'), right: 'statistics.supply' },
    ],
    places: [
      {
        path: 'deadlines',
        name: t('办理时限', 'Deadlines'),
        list: 'deadline.list',
        columns: ['object', 'kind', 'agency', 'role', 'startedAt', 'due', 'daysLeft', 'state'],
        link: ({ object }, can) => addressOfObject(String(object), can),
      },
      {
        path: 'orders',
        name: t('责令改正', 'Orders'),
        list: 'order.list',
        kind: 'order',
        columns: ['id', 'agency', 'resource', 'period', 'cause', 'due', 'state', 'created'],
        make: ['order.issue'],
      },
      {
        path: 'evaluations',
        name: t('评估', 'Evaluations'),
        list: 'evaluation.list',
        kind: 'evaluation',
        columns: ['period', 'starts', 'ends', 'state', 'publishedAt'],
        make: ['evaluation.draw-up'],
      },
      {
        path: 'cases',
        name: t('全部未办结', 'Open cases'),
        list: 'case.list',
        columns: ['title', 'kind', 'agency', 'state', 'days', 'reason'],
        link: ({ link }, can) => addressOfCase(link, can),
      },
    ],
  },
  {
    name: t('管理', 'Administration'),
    pages: [{ path: 'calendars', name: t('工作日日历', 'Calendar'), right: 'calendar.put' }],
    places: [
      {
        path: 'agencies',
        name: t('机关单位', 'Agencies'),
        list: 'agency.list',
        kind: 'agency',
        id: 'code',
        columns: ['code', 'name', 'parent', 'kind', 'state'],
        make: ['agency.create'],
        imports: ['agency.import'],
      },
      {
        path: 'people',
        name: t('人员与角色', 'People and roles'),
        list: 'person.list',
        kind: 'person',
        columns: ['name', 'login', 'agency', 'roles', 'state', 'lastSignIn', 'lockedUntil'],
        make: ['person.create'],
        imports: ['person.import', 'person.import-roles'],
      },
      {
        path: 'keys',
        name: t('密钥', 'Keys'),
        list: 'key.list',
        columns: ['name', 'agency', 'role', 'state', 'expires', 'lastUsed'],
        make: ['key.create'],
        on: ['key.end'],
      },
      {
        path: 'sessions',
        name: t('会话', 'Sessions'),
        own: t('我的会话', 'My sessions'),
        list: 'session.list',
        columns: ['personName', 'created', 'lastUsed', 'address', 'browser', 'current'],
        on: ['session.end'],
      },
      {
        path: 'audit',
        name: t('审计', 'Audit'),
        list: 'audit.list',
        columns: ['at', 'actor', 'agency', 'act', 'object', 'objectTitle', 'outcome', 'ip'],
      },
    ],
  },
]

export const places: readonly Place[] = groups.flatMap(({ places }) => places)

export function placeOfKind(kind: string): Place | undefined {
  return places.find((place) => place.kind === kind)
}
