import { useQuery } from '@tanstack/react-query'
import { Table } from 'antd'
import { call } from '../api.ts'
import { valueText } from '../fields.ts'
import { maskWords, sidesOf, type Sides } from '../masks.ts'
import { t, useWords } from '../words.tsx'
import type { Choice } from './fields-form.tsx'
import { Strip } from './strip.tsx'

export interface Item {
  id: string
  label: string
  type: string
  openness: string
  key?: boolean
  required?: boolean
  description?: string
}

export interface Named {
  resource?: unknown
  standard?: unknown
  items?: unknown
  approvedItems?: unknown
  masks?: unknown
  consents?: unknown
}

/** The items of the resource, or of the standard, that something is about, as the catalog calls them; empty where it is about none. */
export function useItemsOf(read: Named | undefined): readonly Item[] {
  const asked = Array.isArray(read?.items)
  const resource = typeof read?.resource === 'string' ? read.resource : undefined
  const standard = resource === undefined && typeof read?.standard === 'string' ? read.standard : undefined
  const entry = useQuery({
    queryKey: ['object', 'resource', resource],
    queryFn: ({ signal }) => call<{ schema: { items: Item[] } }>('resource.read', { at: { id: resource! }, signal }),
    enabled: asked && resource !== undefined,
  })
  const form = useQuery({
    queryKey: ['object', 'standard', standard],
    queryFn: ({ signal }) => call<{ form: { items: Item[] } | null }>('standard.read', { at: { id: standard! }, signal }),
    enabled: asked && standard !== undefined,
  })
  return entry.data?.schema.items ?? form.data?.form?.items ?? []
}

const idsOf = (items: unknown): string[] => (Array.isArray(items) ? items.filter((one) => typeof one === 'string') : [])

/** What a decision chooses among: the items that were asked for. */
export function itemChoices(read: Named, found: readonly Item[]): Record<string, Choice[]> {
  const asked = idsOf(read.items)
  if (asked.length === 0) return {}
  const items = new Map(found.map((item) => [item.id, item]))
  return {
    items: asked.map((value) => {
      const { label = value, type, key } = items.get(value) ?? {}
      return { value, label, ...(type !== undefined && { type }), ...(key !== undefined && { key }) }
    }),
  }
}

/** The items that something is about, each with its openness. */
export function ItemsAsked({ read, found }: { read: Named; found: readonly Item[] }) {
  const { say } = useWords()
  const asked = idsOf(read.items)
  if (asked.length === 0) return null
  const approved = Array.isArray(read.approvedItems) ? new Set(idsOf(read.approvedItems)) : undefined
  const masks = sidesOf(read)
  const lines = asked.map((id) => found.find((item) => item.id === id) ?? { id, label: id, type: '', openness: 'internal' })
  return (
    <>
      <h2>
        {say(t('信息项', 'Items'))} <Strip items={lines} />
      </h2>
      <ItemTable items={lines} {...(approved && { approved })} {...(masks && { masks })} />
    </>
  )
}

interface TableProps {
  items: readonly Item[]
  approved?: ReadonlySet<string>
  /** What each side shows masked of them. */
  masks?: Sides
}

export function ItemTable({ items, approved, masks }: TableProps) {
  const { say } = useWords()
  const masked = (side: keyof Sides, title: string) => ({
    title,
    dataIndex: 'id',
    key: side,
    render: (id: string) => (masks![side][id] ? say(maskWords(masks![side][id])) : '—'),
  })
  return (
    <Table
      size="small"
      rowKey="id"
      dataSource={[...items]}
      pagination={false}
      columns={[
        { title: say(t('信息项', 'item')), dataIndex: 'label' },
        { title: say(t('标识', 'id')), dataIndex: 'id', render: (id: string) => <code>{id}</code> },
        { title: say(t('类型', 'type')), dataIndex: 'type', render: (type: string) => valueText(type, 'type', undefined, say) },
        {
          title: say(t('公开属性', 'openness')),
          dataIndex: 'openness',
          render: (openness: string) => valueText(openness, 'openness', undefined, say),
        },
        ...(approved
          ? [
              {
                title: say(t('批准', 'approved')),
                dataIndex: 'id',
                key: 'approved',
                render: (id: string) => (approved.has(id) ? '●' : '✕'),
              },
            ]
          : []),
        ...(masks
          ? [
              masked('provider', say(t('脱敏（提供单位）', 'masked by the provider'))),
              masked('office', say(t('脱敏（市电子政务办）', 'masked by the office'))),
            ]
          : []),
      ]}
    />
  )
}
