import { useQuery } from '@tanstack/react-query'
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
  const shown = told.filter((name) => content[name] !== undefined && content[name] !== '' && content[name] !== null)
  return (
    <>
      <h1>
        <Link to="/catalog">{say(t('资源目录', 'Catalog'))}</Link> · {title} <Strip items={items} />
      </h1>
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
          <h2>{say(t('信息项', 'Items'))}</h2>
          <ItemTable items={items} />
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

function Line({ name, text }: { name: string; text: string }) {
  return (
    <>
      <dt>{name}</dt>
      <dd>{text}</dd>
    </>
  )
}
