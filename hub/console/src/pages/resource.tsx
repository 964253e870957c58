import { useMutation, useQuery } from '@tanstack/react-query'
import { Button } from 'antd'
import { Link, useNavigate, useParams } from 'react-router'
import { call } from '../api.ts'
import { entryName } from '../catalog-fields.ts'
import { valueText } from '../fields.ts'
import AgentConfig from '../parts/agent-config.tsx'
import { BasketButton } from '../parts/basket-button.tsx'
import { Belongings, type Belonging } from '../parts/belongings.tsx'
import { Desk } from '../parts/desk.tsx'
import { ItemTable, type Item } from '../parts/items.tsx'
import LinesOf from '../parts/line-table.tsx'
import MoreActs, { type Act } from '../parts/more-acts.tsx'
import { Failed, Waiting } from '../parts/outcome.tsx'
import { Strip } from '../parts/strip.tsx'
import { useSession } from '../session.tsx'
import { t, useWords } from '../words.tsx'

interface Resource {
  code: string
  catalogCode: string
  agency: string
  agencyName: string
  state: string
  openness: string
  catalogVersion: number
  schema: { title: string; items: Item[] }
  content: Record<string, unknown> | null
  publishedAt: string
  revision: string
  actions: string[]
}

const brought: readonly Belonging[] = [{ list: 'supply.batches', columns: ['at', 'act', 'by', 'file', 'rows'] }]
const versions: readonly Belonging[] = [{ list: 'resource.versions', columns: ['number', 'publishedAt', 'publishedBy'] }]

const told = [
  'abstract',
  'sharing',
  'sharingConditions',
  'shareModes',
  'cycle',
  'supplyMode',
  'keep',
  'keywords',
  'contact',
  'temporal',
] as const

export default function ResourcePage() {
  const { say } = useWords()
  const { id = '' } = useParams()
  const { me, can, may } = useSession()
  const navigate = useNavigate()
  const { data, error, refetch } = useQuery({
    queryKey: ['object', 'resource', id],
    queryFn: ({ signal }) => call<Resource>('resource.read', { at: { id }, signal }),
  })
  if (error) return <Failed error={error} again={() => void refetch()} />
  if (!data) return <Waiting />
  const { title, items } = data.schema
  const content = data.content ?? {}
  const own = data.agency === me.agency
  const publicItems = items.filter(({ openness }) => openness === 'public').map(({ id: value, label }) => ({ value, label }))
  const acts: Act[] =
    data.state === 'active'
      ? [
          ...(publicItems.length > 0
            ? [
                {
                  name: 'opening.propose',
                  fixed: { resource: id },
                  choices: { items: publicItems },
                  to: (made: { id: string }) => `/openings/${made.id}`,
                },
              ]
            : []),
          { name: 'resource.keep', at: { id }, initial: { keep: content['keep'] } },
        ]
      : []
  const shown = told.filter((name) => content[name] !== undefined && content[name] !== '' && content[name] !== null)
  return (
    <>
      <h1>
        <Link to="/catalog">{say(t('资源目录', 'Catalog'))}</Link> · {title} <Strip items={items} />
      </h1>
      {data.state !== 'active' && (
        <p className="problem" role="status">
          <strong>
            {say(
              data.state === 'suspended'
                ? t(
                    '已被保密部门叫停：不再交付、查询和申请，直到恢复。',
                    'Stopped for secrecy: it is neither delivered, queried nor applied for until it is released.',
                  )
                : t('已撤回：不再提供。', 'Withdrawn: it is not supplied any more.'),
            )}
          </strong>
        </p>
      )}
      <div className="columns">
        <section>
          <dl className="facts">
            <dt>{say(t('提供单位', 'provider'))}</dt>
            <dd>{data.agencyName}</dd>
            <dt>{say(t('目录编码', 'catalog code'))}</dt>
            <dd>
              {data.catalogCode} · <code>{data.code}</code>
            </dd>
            {shown.map((name) => (
              <Line key={name} name={say(entryName(name))} text={valueText(content[name], name, undefined, say)} />
            ))}
          </dl>
          <Related code={id} agency={data.agency} />
          {own && data.state !== 'withdrawn' && can('registration.create') && <Change code={id} />}
          <MoreActs acts={acts.filter(({ name }) => may(name, data.agency))} title={title} seen={data.revision} />
          <h2>{say(t('信息项', 'Items'))}</h2>
          <ItemTable items={items} />
          {may('line.list', data.agency) && <LinesOf asked={{ resource: id }} />}
          {content['supplyMode'] === 'front-end' && may('resource.agent-config', data.agency) && <AgentConfig kind="resource" id={id} />}
          {own && <Belongings all={brought} id={id} />}
          <Belongings all={versions} id={id} />
        </section>
        <Desk
          kind="resource"
          id={id}
          title={title}
          read={data}
          actions={data.actions}
          ways={
            <>
              {can('application.create') && !own && data.state === 'active' && (
                <Button type="primary" onClick={() => void navigate(`/resources/${encodeURIComponent(id)}/apply`)}>
                  {say(t('申请共享', 'Apply for it'))}
                </Button>
              )}
              {can('application.create-many') && !own && data.state === 'active' && <BasketButton code={id} />}
              {own && content['supplyMode'] === 'form' && can('row.create') && (
                <Button type="primary" onClick={() => void navigate(`/resources/${encodeURIComponent(id)}/rows`)}>
                  {say(t('在线填报', 'Enter rows'))}
                </Button>
              )}
              {own && content['supplyMode'] === 'excel' && can('excel.check') && (
                <Button type="primary" onClick={() => void navigate(`/resources/${encodeURIComponent(id)}/excel`)}>
                  {say(t('EXCEL 导入', 'Excel import'))}
                </Button>
              )}
            </>
          }
        />
      </div>
    </>
  )
}

/** Another version of it begins as a draft of what it is now. */
function Change({ code }: { code: string }) {
  const { say } = useWords()
  const navigate = useNavigate()
  const { error, isPending, mutate } = useMutation({
    mutationFn: () => call<{ id: string }>('registration.create', { body: { resource: code } }),
    onSuccess: ({ id }) => void navigate(`/registrations/${id}`),
  })
  return (
    <>
      <p className="actions">
        <Button loading={isPending} onClick={() => mutate()}>
          {say(t('修改登记', 'Change its registration'))}
        </Button>
      </p>
      {error && <Failed error={error} />}
    </>
  )
}

/** What else there is of it, for who looks after it or watches over it. */
const related = [
  { right: 'duty.list', path: 'duties', name: t('更新义务', 'Update duties') },
  { right: 'grant.list', path: 'grants', name: t('获取单位的授权', 'Grants of it') },
  { right: 'registration.list', path: 'registrations', name: t('登记', 'Registrations') },
  { right: 'reconciliation.list', path: 'reconciliations', name: t('对账', 'Reconciliations') },
] as const

function Related({ code, agency }: { code: string; agency: string }) {
  const { say } = useWords()
  const { may } = useSession()
  const shown = related.filter(({ right }) => may(right, agency))
  if (shown.length === 0) return null
  return (
    <p className="actions">
      {shown.map(({ path, name }) => (
        <Link key={path} to={`/${path}?${new URLSearchParams({ resource: code }).toString()}`}>
          {say(name)}
        </Link>
      ))}
    </p>
  )
}

function Line({ name, text }: { name: string; text: string }) {
  return (
    <>
      <dt>{name}</dt>
      <dd>{text}</dd>
    </>
  )
}
