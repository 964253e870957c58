import { Type } from 'typebox'
import { deadlineList, deadlineStates, listDeadlines } from '../records/deadlines.ts'
import { pageOf, queryOf } from '../records/listing.ts'
import { readBoard } from '../supervision/duties/board.ts'
import { dutyStates } from '../supervision/duties/duties.ts'
import { dutyList, pageDuties } from '../supervision/duties/pages.ts'
import { frequencies } from '../supervision/duties/periods.ts'
import type { Excuse } from '../supervision/duties/reckoning.ts'
import { countUnread, listNotices, markRead, noticeList } from '../records/notices.ts'
import { operation, type Operation } from './operation.ts'
import { CalendarYear } from '../records/calendars/year.ts'
import { listCalendars, putCalendar } from '../supervision/calendars.ts'
import { clockState, confirmClock } from '../supervision/clock-watch.ts'
import { AgencyCode, closed, nullable, ReasonBody } from './shapes.ts'

const text = nullable(Type.String())

const Duty = Type.Object({
  id: Type.String(),
  resource: Type.String(),
  title: Type.String(),
  agency: Type.String(),
  cycle: Type.String(),
  frequency: Type.String(),
  period: Type.String(),
  from: Type.String(),
  to: Type.String(),
  state: Type.Enum([...dutyStates]),
  excuse: nullable(Type.Enum(['stopped', 'force-majeure', 'cannot-supply', 'no-machine'] satisfies Excuse[])),
  updatedOn: text,
  warnedAt: text,
  overdueAt: text,
  explainedAt: text,
  declaration: text,
})

const DutyPeriod = Type.Object({ frequency: Type.String(), period: Type.String(), from: Type.String(), to: Type.String() })
const counts = { updated: Type.Integer(), explained: Type.Integer(), overdue: Type.Integer(), excused: Type.Integer() }
const BoardLine = Type.Object({
  agency: Type.String(),
  ...counts,
  cells: Type.Array(Type.Object({ period: Type.String(), ...counts })),
})

const HealthProblem = Type.Object({ code: Type.String(), zh: Type.String(), en: Type.String() })

const Deadline = Type.Object({
  id: Type.String(),
  kind: Type.String(),
  object: Type.String(),
  agency: Type.String(),
  role: Type.String(),
  startedAt: Type.String(),
  due: nullable(Type.String()),
  waits: nullable(Type.Enum(['calendar', 'receiver', 'applicant'])),
  extended: Type.Integer(),
  state: Type.Enum([...deadlineStates]),
  daysLeft: nullable(Type.Integer()),
  warnedAt: text,
  missedAt: text,
  endedAt: text,
})

const Calendars = Type.Object({
  items: Type.Array(Type.Object({ ...CalendarYear.properties, from: Type.Enum(['built-in', 'configuration', 'office']) })),
  wanted: Type.Array(Type.Integer()),
})

const Notice = Type.Object({
  id: Type.String(),
  at: Type.String(),
  kind: Type.String(),
  kindName: Type.Object({ zh: Type.String(), en: Type.String() }),
  object: Type.Object({ kind: Type.String(), id: Type.String(), title: nullable(Type.String()) }),
  zh: Type.String(),
  en: Type.String(),
  read: Type.Boolean(),
})

const WhichNotices = Type.Object(
  {
    ids: Type.Optional(Type.Array(Type.String({ pattern: '^[0-9]{1,18}$' }), { minItems: 1, maxItems: 500 })),
    object: Type.Optional(Type.Object({ kind: Type.String({ minLength: 1, maxLength: 40 }), id: Type.String({ maxLength: 100 }) }, closed)),
  },
  closed,
)

const Clock = Type.Object({ now: Type.String(), wall: Type.String(), heldSince: nullable(Type.String()) })

/** Update duties, deadlines, notices (Art. 14, 24, 25). */
export const supervisionOperations: readonly Operation[] = [
  operation({
    name: 'health.read',
    method: 'GET',
    path: '/health',
    text: { zh: '平台运行中的问题', en: 'what is wrong with the exchange and its hub' },
    answer: Type.Object({
      status: Type.Enum(['ok', 'degraded', 'down']),
      problems: Type.Array(HealthProblem),
      paused: Type.Array(HealthProblem),
    }),
    run: ({ services }) => services.health(),
  }),
  operation({
    name: 'clock.read',
    method: 'GET',
    path: '/clock',
    text: { zh: '平台时间', en: 'the time that the hub goes by' },
    answer: Clock,
    run: async ({ services }) => clockState(services.clock),
  }),
  operation({
    name: 'clock.confirm',
    method: 'POST',
    path: '/clock/confirm',
    text: { zh: '确认服务器时钟无误', en: "the clock of the hub's machine is right" },
    body: ReasonBody,
    answer: Clock,
    example: { reason: '停机十天后开机，时钟已核对' },
    run: ({ registry, services, principal, body }) => confirmClock(registry.store, services.clock, principal, body.reason),
  }),
  operation({
    name: 'duty.list',
    method: 'GET',
    path: '/duties',
    text: { zh: '数据更新义务及状态', en: 'update duties and their states' },
    query: queryOf(dutyList),
    answer: pageOf(Duty),
    run: ({ registry, agencyScope, query }) => pageDuties(registry.store.query, agencyScope, query, registry.clock()),
  }),
  operation({
    name: 'duty.board',
    method: 'GET',
    path: '/duties/board',
    text: {
      zh: '更新监督：各单位各期更新义务的件数，逾期多的在前',
      en: 'the board of duties: how many of each agency and period stand in which state, the worst first',
    },
    query: Type.Object({ agency: Type.Optional(AgencyCode), frequency: Type.Optional(Type.Enum([...frequencies])) }, closed),
    answer: Type.Object({ periods: Type.Array(DutyPeriod), items: Type.Array(BoardLine) }),
    run: ({ registry, agencyScope, query: { agency = null, frequency } }) =>
      readBoard(registry.store.query, { agency: agencyScope ?? agency, frequency, now: registry.clock() }),
  }),
  operation({
    name: 'deadline.list',
    method: 'GET',
    path: '/deadlines',
    text: { zh: '办理时限', en: 'deadlines' },
    query: queryOf(deadlineList),
    answer: pageOf(Deadline),
    run: ({ registry, agencyScope, query }) => listDeadlines(registry.store.query, agencyScope, query, registry.clock()),
  }),
  operation({
    name: 'calendar.list',
    method: 'GET',
    path: '/calendars',
    text: { zh: '工作日日历，及尚缺的年份', en: 'the calendar of working days, and the years that are wanted' },
    answer: Calendars,
    run: ({ registry }) => listCalendars(registry.store.query, registry.clock()),
  }),
  operation({
    name: 'calendar.put',
    method: 'POST',
    path: '/calendars',
    text: { zh: '填报一年的节假日和调休', en: "put a year's holidays and make-up days" },
    body: CalendarYear,
    answer: Calendars,
    example: {
      year: 2027,
      source: '国务院办公厅关于2027年部分节假日安排的通知',
      holidays: ['2027-01-01/2027-01-03'],
      workdays: ['2027-02-20'],
    },
    run: ({ registry, principal, body }) => putCalendar(registry, principal, body),
  }),
  operation({
    name: 'notice.list',
    method: 'GET',
    path: '/notices',
    text: { zh: '我的通知', en: 'my notices' },
    query: queryOf(noticeList),
    answer: Type.Object({ ...pageOf(Notice).properties, unread: Type.Integer() }),
    run: async ({ registry, principal, query }) => ({
      ...(await listNotices(registry.store.query, principal, query)),
      unread: await countUnread(registry.store.query, principal),
    }),
  }),
  operation({
    name: 'notice.read',
    method: 'POST',
    path: '/notices/read',
    text: { zh: '标为已读（按编号、按事项，或全部）', en: 'mark as read: by ids, those of an object, or all' },
    body: WhichNotices,
    answer: Type.Object({ unread: Type.Integer() }),
    example: { ids: ['17'] },
    run: async ({ registry, principal, body }) => {
      await markRead(registry.store.query, principal, registry.clock(), body)
      return { unread: await countUnread(registry.store.query, principal) }
    },
  }),
]
