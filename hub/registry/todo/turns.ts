import type { LocalizedText } from '../../../protocol/localized.ts'
import type { ObjectKind } from '../../access/relations.ts'
import type { DeadlineKind } from '../../records/settings.ts'

/** Whose turn a case is in a state where something is still to be done. */
export interface Turn {
  /** The events that take it on: whoever may do one of them is whose turn it is. */
  next: readonly string[]
  /** SQL: codes of the agencies whose people may, by the case's row `c`. Left out: an office, wherever it is. */
  agencies?: string
  /** SQL: only these of the roles. */
  only?: string
  /** SQL: actors who may not, since they had a part in it before. */
  barred?: string
  /** SQL: only such cases are open in this state. */
  where?: string
  /** SQL: what the deadline that runs is about, where that is not the case itself. */
  runs?: string
  /** Why there is no deadline, where none runs. */
  reason: LocalizedText
}

/** Cases of one kind. */
export interface Cases<State extends string = string> {
  /** SQL: rows `c`, with what else the texts below need. */
  from: string
  /** SQL, where it is not `c.id`. */
  id?: string
  /** SQL: what it is about, whose it is, who has a part in it, and since when it is there. */
  title: string
  agency: string
  parties: string
  created: string
  deadline?: DeadlineKind
  /** SQL: the last day, of what has no deadline of its own; with `warned`, whether it is near. */
  due?: string
  warned?: string
  /** What the deadline calls the kind of object, where that is not this kind. */
  object?: string
  /** Of each state: whose turn it is; `over` where nothing more happens, `in force` where nothing is to be done unless somebody wants it. */
  states: Record<State, Turn | 'over' | 'in force'>
}

export const none = (zh: string, en: string): LocalizedText => ({ zh, en })
const atWill = none('草稿，由本单位决定何时提交', 'a draft: its agency decides when to submit it')
const stopped = none('暂停期间不计期限', 'no deadline runs while it is suspended')
const unset = none('规定未设期限', 'the rules set no deadline')
export const ended = none('期限已终止或尚未起算', 'its deadline has ended, or has not begun')

export const own = 'array[c.agency]'
export const provider = 'array[r.agency]'

/** Every workflow × state. The one place that says whose turn a case is; who that is among people stands in access/rights.ts. */
export const turns = {
  application: {
    from: 'application c left join resource r on r.code = c.resource left join standard s on s.code = c.standard',
    title: `coalesce(r.title, s.form ->> 'title', c.resource, c.standard)`,
    agency: 'c.agency',
    parties: `array(select c.agency union select agency from resource x where c.state <> 'draft' and (x.code = c.resource or x.standard = c.standard))`,
    created: 'c.created_at',
    deadline: 'application-reply',
    states: {
      draft: { next: ['submit'], agencies: own, reason: atWill },
      returned: { next: ['submit'], agencies: own, reason: ended },
      consulting: { next: ['consent', 'object'], agencies: asked(), runs: asking(), reason: ended },
      reviewing: { next: ['approve', 'reject'], reason: ended },
      approved: {
        next: ['consent', 'object'],
        agencies: asked(),
        runs: asking(),
        where: `exists (select from application_consent a where a.application = c.id and a.state = 'asked')`,
        reason: none(
          '申请已批准，后加入标准的提供单位何时答复不设期限',
          'it is approved; those who adopted the standard later answer without a deadline',
        ),
      },
      rejected: 'over',
      withdrawn: 'over',
    },
  },
  demand: {
    from: 'demand c',
    title: 'c.title',
    agency: 'c.agency',
    parties: 'array_remove(array[c.agency, c.provider], null)',
    created: 'c.created_at',
    deadline: 'catalog-update',
    states: {
      submitted: { next: ['assign', 'refuse'], agencies: 'array_remove(array[c.provider], null)', reason: unset },
      negotiating: { next: ['agree', 'refuse'], agencies: 'array[c.provider]', reason: unset },
      agreed: { next: ['fulfil'], agencies: 'array[c.provider]', reason: ended },
      refused: 'over',
      fulfilled: 'over',
      withdrawn: 'over',
    },
  },
  grant: {
    from: 'access_grant c join resource r on r.code = c.resource',
    title: 'r.title',
    agency: 'c.agency',
    parties: 'array[c.agency, r.agency]',
    created: 'c.created_at',
    states: {
      active: 'in force',
      suspended: { next: ['resume', 'revoke'], reason: stopped },
      held: {
        next: ['accept'],
        agencies: own,
        reason: none('由接收单位决定何时接受新版本', 'the receiver decides when to accept the new version'),
      },
      revoked: 'over',
      expired: 'over',
      'given-up': 'over',
    },
  },
  machine: {
    from: 'machine_application c',
    title: 'c.name',
    agency: 'c.agency',
    parties: own,
    created: 'c.created_at',
    states: {
      applied: { next: ['approve', 'reject'], reason: unset },
      approved: {
        next: ['token'],
        agencies: own,
        reason: none('由本单位决定何时领取令牌并登记前置机', 'its agency decides when to take the token and enrol the machine'),
      },
      rejected: 'over',
      withdrawn: 'over',
      enrolled: 'over',
    },
  },
  publication: {
    from: 'publication_request c join resource r on r.code = c.resource',
    title: 'r.title',
    agency: 'c.agency',
    parties: 'array[c.agency, r.agency]',
    created: 'c.created_at',
    states: {
      asked: { next: ['consent', 'refuse'], agencies: provider, reason: unset },
      consented: 'in force',
      refused: 'over',
      withdrawn: 'over',
      ended: 'over',
    },
  },
  opening: {
    from: 'opening c join resource r on r.code = c.resource',
    title: 'r.title',
    agency: 'r.agency',
    parties: provider,
    created: 'c.created_at',
    states: {
      proposed: { next: ['release', 'return'], reason: unset },
      released: 'in force',
      returned: 'over',
      withdrawn: 'over',
      ended: 'over',
    },
  },
  correction: {
    from: 'correction c join resource r on r.code = c.resource',
    title: 'r.title',
    agency: 'c.agency',
    parties: 'array[c.agency, r.agency]',
    created: 'c.created_at',
    deadline: 'correction',
    states: {
      reported: {
        next: ['pass', 'dismiss'],
        reason: none('更正期限自转提供单位起算', 'the deadline of a correction begins when it is passed to the provider'),
      },
      passed: { next: ['answer'], agencies: provider, reason: ended },
      answered: { next: ['close'], reason: none('提供单位已答复，期限已终止', 'the provider has answered: its deadline has ended') },
      closed: 'over',
      dismissed: 'over',
      withdrawn: 'over',
      settled: 'over',
    },
  },
  declaration: {
    from: 'declaration c left join resource r on r.code = c.resource',
    title: `coalesce(r.title, c.text)`,
    agency: 'c.agency',
    parties: own,
    created: 'c.created_at',
    states: {
      drafted: {
        next: ['sign', 'return'],
        agencies: own,
        barred: `array['person ' || c.drafted_by]`,
        reason: none('由本单位决定何时审签；更新任务的期限不因此延长', 'its agency decides when to sign; the period of a duty goes on'),
      },
      reported: { next: ['delegate', 'escalate', 'settle'], reason: unset },
      delegated: { next: ['escalate', 'settle'], reason: unset },
      escalated: { next: ['settle'], reason: unset },
      noticed: { next: ['acknowledge'], reason: unset },
      returned: 'over',
      withdrawn: 'over',
      accepted: 'over',
      settled: 'over',
      acknowledged: 'over',
    },
  },
  order: {
    from: 'rectification_order c left join resource r on r.code = c.resource',
    title: `coalesce(r.title, c.text)`,
    agency: 'c.agency',
    parties: own,
    created: 'c.created_at',
    deadline: 'rectification',
    states: {
      issued: { next: ['answer'], agencies: own, reason: ended },
      answered: { next: ['close', 'reject-answer'], only: `array[c.issuer, 'supervisor']`, reason: ended },
      transferred: { next: ['conclude'], reason: none('已移送市监察局，由其决定', 'it lies with the supervisor, who decides') },
      closed: 'over',
      concluded: 'over',
    },
  },
  registration: {
    from: 'registration c',
    title: `coalesce(c.content ->> 'title', c.resource)`,
    agency: 'c.agency',
    parties: own,
    created: 'c.created_at',
    states: {
      draft: { next: ['submit'], agencies: own, reason: atWill },
      submitted: {
        next: ['publish', 'return'],
        agencies: own,
        barred: 'array[c.drafted_by, c.submitted_by]',
        reason: none('由本单位决定何时审核', 'its agency decides when to review it'),
      },
      returned: {
        next: ['submit'],
        agencies: own,
        reason: none('已退回，由本单位决定何时改正', 'returned: its agency decides when to put it right'),
      },
      published: 'over',
      discarded: 'over',
    },
  },
  resource: {
    from: 'resource c',
    id: 'c.code',
    title: 'c.title',
    agency: 'c.agency',
    parties: own,
    created: 'c.published_at',
    states: {
      active: 'in force',
      suspended: { next: ['release'], reason: none('保密叫停期间不计期限', 'no deadline runs while it is stopped for secrecy') },
      withdrawn: 'over',
    },
  },
  standard: {
    from: 'standard c',
    id: 'c.code',
    title: `coalesce(c.draft ->> 'title', c.code)`,
    agency: 'null',
    parties: `'{}'::text[]`,
    created: 'c.created_at',
    states: {
      draft: { next: ['publish'], reason: none('草稿，由市电子政务办决定何时发布', 'a draft: the office decides when to publish it') },
      published: 'in force',
      withdrawn: 'over',
    },
  },
} as const satisfies Partial<Record<ObjectKind, Cases>>

/** Those who were asked for their consent and have not answered. */
function asked(): string {
  return `array(select x.agency from application_consent a join resource x on x.code = a.resource where a.application = c.id and a.state = 'asked')`
}

/** The consent that is due first: while providers are asked, the time runs against them. */
function asking(): string {
  return `(select d.object from application_consent a join deadline d on d.kind = 'application-reply' and d.ended_at is null
      and d.object = 'consent ' || c.id || ' ' || a.resource
    where a.application = c.id and a.state = 'asked' order by d.due, a.resource limit 1)`
}
