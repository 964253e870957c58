/** Registrations as an agency makes them, through the API. */
import type { Item } from '../../../../protocol/schema.ts'
import type { CatalogContent } from '../../../../hub/registry/catalog/content.ts'
import type { Answer, City } from '../../city.ts'

export const textItem = (id: string, label: string, more: Partial<Item> = {}): Item => ({
  id,
  name: id,
  label,
  type: 'text',
  length: 100,
  openness: 'internal',
  ...more,
})

/** Items that Art. 6 demands of every resource. */
export const always: Item[] = [
  textItem('agency', '实施机关', { role: 'implementing-agency' }),
  { id: 'handled', name: 'handled', label: '办理时间', type: 'date', openness: 'internal', role: 'handled-at' },
]

/** A faultless entry about enterprises. */
export function licences(change: (content: CatalogContent) => void = () => {}): CatalogContent {
  const content: CatalogContent = {
    title: '户外广告许可',
    classification: '302',
    abstract: '户外广告设置许可决定',
    format: 'database',
    sharing: 'unconditional',
    shareModes: ['query', 'api', 'exchange'],
    cycle: 'daily',
    supplyMode: 'front-end',
    subject: 'enterprise',
    licence: false,
    secrecy: false,
    keywords: ['广告'],
    related: [],
    keep: 'store',
    table: 'ad_licences',
    items: [
      textItem('number', '许可文号', { length: 60, key: true }),
      textItem('holder', '机构名称', { role: 'institution-name', openness: 'public' }),
      textItem('uscc', '统一社会信用代码', { role: 'uscc', length: 18 }),
      textItem('place', '设置地点'),
      ...always,
    ],
    storedClosed: [],
    exceptions: [],
  }
  change(content)
  return content
}

export const secrecy = { reviewed: true, by: '保密员' }

/** Drafts, submits and publishes; the answer of the first call that is refused, or of the publication. */
export async function register(city: City, agency: string, content: CatalogContent, more: object = {}): Promise<Answer> {
  const drafted = await city.as(agency, 'registrar').post('/registrations', { content, ...more })
  return drafted.status === 200 ? submitAndPublish(city, agency, drafted.body.id as string) : drafted
}

export async function submitAndPublish(city: City, agency: string, id: string, said: object = {}): Promise<Answer> {
  const submitted = await city.as(agency, 'registrar').post(`/registrations/${id}/submit`, { secrecy })
  return submitted.status === 200 ? city.as(agency, 'reviewer').post(`/registrations/${id}/publish`, said) : submitted
}
