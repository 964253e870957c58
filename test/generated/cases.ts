import type { Store } from '../../hub/store/store.ts'
import type { Filling } from './city.ts'

/** Not each statement needs all of them: `$1` agencies, `$2` how many cases, `$3` now, `$4` how many resources. */
const given = 'with given as (select $1::text[], $2::int, $3::timestamptz, $4::int)'

/** Open cases of each kind, and some that are over, with the deadlines that run. */
export async function fillCases(store: Store, parties: readonly string[], { cases, now, resources }: Filling): Promise<void> {
  await store.transaction(async (query) => {
    for (const text of statements) await query(`${given} ${text}`, [parties, cases, now, resources])
  })
  const reviewers = `select min(p.id) as id, p.agency from person p join person_role r on r.person = p.id and r.role = 'reviewer' group by p.agency`
  await store.query(
    `insert into declaration (agency, kind, resource, text, measures, drafted_by, state, created_at)
     select r.agency, (array['no-change', 'cannot-supply', 'force-majeure'])[1 + n % 3], case when n % 3 < 2 then r.code end, ${pick('本期业务未发生变化', '业务系统升级改造，暂不能提供', '机房受台风影响停电')},
       case when n % 3 = 2 then '启用备用机房' end, p.id, case when n % 3 = 2 then 'reported' else 'drafted' end, $2::timestamptz - n * interval '3 hours'
     from generate_series(1, $1::int) n join resource r on r.code = 'r' || lpad((n % $3::int)::text, 5, '0') join (${reviewers}) p on p.agency = r.agency`,
    [cases, now, resources],
  )
}

const party = (shift: string) => `($1::text[])[1 + (n + ${shift}) % cardinality($1::text[])]`
const pick = (...texts: string[]) => `(array[${texts.map((text) => `'${text}'`).join(', ')}])[1 + n % ${texts.length}]`
const resource = `r.code = 'r' || lpad((n % $4::int)::text, 5, '0')`
const since = (step: string) => `$3::timestamptz - n % 40 * interval '${step}'`
const purposes = pick('防汛指挥需核对村居名录', '办理居住证时核验申请人信息', '开展企业信用评价', '城市体检评估')
const bases = pick(
  '《中华人民共和国防洪法》第三十八条',
  '《居住证暂行条例》第九条',
  '《广东省社会信用条例》第十条',
  '东莞市城市体检工作方案',
)

/** The deadline of each case of a kind that `on` tells of: some are over, some are near. */
const deadline = (
  kind: string,
  object: string,
  of: string,
  role: string,
) => `insert into deadline (kind, object, agency, role, started_at, days, due, warned_for, warned_at, missed_at)
  select '${kind}', '${object} ' || c.id, ${of}, '${role}', c.created_at, 10, d.due, case when d.due <= $3::date + 2 then d.due end,
    case when d.due <= $3::date + 2 then $3::timestamptz - interval '1 hour' end, case when d.due < $3::date then $3::timestamptz - interval '1 hour' end`

const statements = [
  `insert into application (agency, resource, mode, items, purpose, basis, agent, state, created_at, submitted_at)
   select a.agency, r.code, 'exchange', array['i0', 'i1', 'i2', 'i3', 'i5'], ${purposes}, ${bases}, a.agent,
     ${pick('reviewing', 'consulting', 'reviewing', 'draft')}, ${since('9 hours')}, ${since('9 hours')}
   from generate_series(1, $2::int) n join resource r on ${resource},
     lateral (select agency, min(id) as agent from agent where agency = ${party('5')} and agency <> r.agency group by agency) a`,
  `insert into application_consent (application, resource, state, at) select c.id, c.resource, 'asked', c.created_at from application c
   where c.state = 'consulting'`,
  `insert into application (agency, resource, mode, items, approved_items, purpose, basis, state, reason, created_at, submitted_at, decided_at)
   select ${party('3')}, r.code, 'query', array['i0', 'i1'], case when n % 2 = 0 then array['i0'] end, ${purposes}, ${bases},
     ${pick('approved', 'rejected')}, ${pick('同意', '申请的信息项超出履职所需')}, ${since('20 hours')} - interval '30 days', ${since('20 hours')} - interval '30 days', ${since('20 hours')} - interval '26 days'
   from generate_series(1, $2::int) n join resource r on ${resource}`,
  `${deadline('application-reply', 'application', `'city'`, 'office')} from (select *, row_number() over (order by id)::int as n from application where state = 'reviewing') c,
     lateral (select $3::date - 4 + c.n % 14 as due) d`,
  `${deadline('application-reply', 'consent', 'r.agency', 'reviewer').replace(`'consent ' || c.id`, `'consent ' || c.id || ' ' || c.resource`)}
   from (select *, row_number() over (order by id)::int as n from application where state = 'consulting') c join resource r on r.code = c.resource,
     lateral (select $3::date - 2 + c.n % 12 as due) d`,
  `insert into demand (agency, title, what, why, basis, supposed, provider, state, agreed_what, created_at)
   select ${party('7')}, ${pick('独居老人走访记录', '校外培训机构检查结果', '临时用地批准信息')} || n, '姓名、住址、走访日期', ${purposes}, ${bases}, ${party('2')}, case when n % 3 > 0 then ${party('2')} end,
     ${pick('submitted', 'negotiating', 'agreed')}, case when n % 3 = 2 then '按季度提供汇总名单' end, ${since('11 hours')}
   from generate_series(1, $2::int) n`,
  `${deadline('catalog-update', 'demand', 'c.provider', 'registrar')} from (select *, row_number() over (order by id)::int as n from demand where state = 'agreed') c,
     lateral (select $3::date - 3 + c.n % 15 as due) d`,
  `insert into correction (agency, resource, row_key, items, fault, wanted, state, created_at)
   select ${party('4')}, r.code, '["441900001001"]', array['i1'], ${pick('名称与现场不符', '电话号码已停用', '地址门牌号缺失')}, '请核实后更正', ${pick('reported', 'passed')}, ${since('7 hours')}
   from generate_series(1, $2::int) n join resource r on ${resource}`,
  `${deadline('correction', 'correction', 'r.agency', 'registrar')} from (select *, row_number() over (order by id)::int as n from correction where state = 'passed') c join resource r on r.code = c.resource,
     lateral (select $3::date - 2 + c.n % 9 as due) d`,
  `insert into rectification_order (agency, resource, cause, text, due, issuer, issued_by, state, answer, created_at)
   select r.agency, r.code, 'update', '该资源连续两个周期未更新，请于期限内补报并说明原因', $3::date - 3 + n % 20, ${pick('office', 'supervisor')}, 'person 1', ${pick('issued', 'answered')},
     case when n % 2 = 1 then '已补报，并安排专人每周核对' end, ${since('13 hours')}
   from generate_series(1, $2::int) n join resource r on ${resource}`,
  `${deadline('rectification', 'order', 'c.agency', 'reviewer')} from (select c.*, c.due as last from rectification_order c where state = 'issued') c, lateral (select c.last as due) d
  `,
  `insert into publication_request (agency, access_grant, resource, items, place, purpose, source, state, created_at)
   select g.agency, g.id, g.resource, array['i1'], '本单位门户网站', '方便群众查询', '来源于' || a.name, 'asked', ${since('15 hours')}
   from generate_series(1, $2::int) n join access_grant g on g.id = 'grant-' || n join resource r on r.code = g.resource join agency a on a.code = r.agency`,
  `insert into machine_application (agency, name, purpose, provided_by, state, created_at)
   select ${party('9')}, '二号前置机', '原前置机已使用六年', ${pick('agency', 'office')}, ${pick('applied', 'approved')}, ${since('5 hours')} from generate_series(1, $2::int) n`,
  `insert into registration (agency, resource, content, state, drafted_by, drafted_at, submitted_by, submitted_at, created_at)
   select ${party('1')}, 'draft' || lpad(n::text, 5, '0'), v.content || jsonb_build_object('title', v.content ->> 'title' || '补充'), ${pick('draft', 'submitted', 'returned')}, 'person 1', ${since('6 hours')},
     case when n % 3 = 1 then 'person 1' end, case when n % 3 = 1 then ${since('6 hours')} end, ${since('6 hours')}
   from generate_series(1, $2::int) n join resource r on ${resource} join catalog_version v on v.resource = r.code`,
  `insert into opening (resource, items, state, created_at)
   select r.code, array['i1', 'i4'], ${pick('proposed', 'released')}, ${since('16 hours')} from generate_series(1, $2::int) n join resource r on ${resource}`,
  `insert into history (workflow, object, event, to_state, actor, actor_name, agency, at)
   select 'application', id::text, 'create', 'draft', 'person 1', '经办人', agency, created_at - interval '5 minutes' from application
   union all select 'application', id::text, 'submit', 'reviewing', 'person 1', '经办人', agency, submitted_at from application where submitted_at is not null and state <> 'draft'
   union all select 'application', id::text, case state when 'approved' then 'approve' else 'reject' end, state, 'person 2', '张工', 'city', decided_at from application where decided_at is not null
   order by 8`,
  `insert into duty_mark (resource, period, mark, agency, ends, at)
   select r.code, to_char($3::timestamptz, 'IYYY-"W"IW'), 'warned', r.agency, ($3::timestamptz at time zone 'Asia/Shanghai')::date + 2, $3::timestamptz - interval '2 hours'
   from generate_series(1, $2::int * 4, 4) n join resource r on ${resource} and r.cycle = 'weekly'`,
  `insert into duty_mark (resource, period, mark, agency, ends, at)
   select r.code, to_char($3::timestamptz - interval '1 month', 'YYYY-MM'), 'overdue', r.agency, (date_trunc('month', $3::timestamptz) - interval '1 day')::date, $3::timestamptz - interval '2 hours'
   from generate_series(2, $2::int * 4, 4) n join resource r on ${resource} and r.cycle = 'monthly'`,
  `insert into notice (at, role, agency, kind, object, zh, en)
   select ${since('2 hours')}, 'office', null, 'application', 'application ' || n, '共享申请 ' || n || ' 等待审批', 'application ' || n || ' waits for a decision' from generate_series(1, least($2::int, 30)) n`,
]
