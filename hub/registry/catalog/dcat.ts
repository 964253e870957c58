import type { Item } from '../../../protocol/schema.ts'
import { nameOfAgency } from '../agencies/agencies.ts'
import { agencyWith } from '../agencies/offices.ts'
import type { Registry } from '../../records/registry.ts'
import { roles } from '../../records/roles.ts'
import type { Query } from '../../store/store.ts'
import { listEntries, type Entry } from './catalog.ts'
import { listClassifications, type Classification } from './classification.ts'
import { listOpen, type OpenEntry } from './open-entries.ts'

/** Update cycles as the EU's frequency vocabulary, which DCAT-AP uses, calls them. */
const frequencies: Record<Entry['content']['cycle'], string> = {
  realtime: 'UPDATE_CONT',
  daily: 'DAILY',
  weekly: 'WEEKLY',
  monthly: 'MONTHLY',
  quarterly: 'QUARTERLY',
}
const frequencyUrl = 'http://publications.europa.eu/resource/authority/frequency/'
const mediaTypeUrl = 'https://www.iana.org/assignments/media-types/'
const xsd = 'http://www.w3.org/2001/XMLSchema#'

const context = {
  dcat: 'http://www.w3.org/ns/dcat#',
  dct: 'http://purl.org/dc/terms/',
  foaf: 'http://xmlns.com/foaf/0.1/',
  skos: 'http://www.w3.org/2004/02/skos/core#',
  vcard: 'http://www.w3.org/2006/vcard/ns#',
  csvw: 'http://www.w3.org/ns/csvw#',
  hydra: 'http://www.w3.org/ns/hydra/core#',
}

/** A file of an open data set: below its page. */
export interface OpenFile {
  kind: string
  mediaType: string
}

/** Where the catalog is read, and what the public is given: names of things begin with the address. */
export interface DcatPlace {
  /** Of the hub, such as `https://hub.example`. */
  address: string
  /** Of the public's pages: `/open`. */
  path: string
  files: readonly OpenFile[]
}

/** Data sets of a page: even where each has 400 items with the longest labels, it is below 50 MB. */
export const dcatPageSize = 100

/**
 * All that is in force with public items, open to everybody or not yet, as DCAT 3 (JSON-LD 1.1): what those who are signed in see. Nothing but public
 * items is told of it.
 */
export async function dcatCatalog(registry: Registry, address: string): Promise<object> {
  const { query } = registry.store
  const entries = (await listEntries(query, null)).filter(isPublished)
  const described = entries.map((entry) => ({ ...entry, openItems: entry.content.items.filter(isPublic) }))
  const catalog = await catalogOf(registry, { address, path: '/catalog' }, described)
  return { '@context': context, ...catalog }
}

/** A page of what is open to everybody, as DCAT-AP 3.0.0 wants it, with pages in the words of Hydra, old and new. */
export async function dcatPage(registry: Registry, place: DcatPlace, page: number): Promise<object> {
  const { entries, total } = await listOpen(registry.store.query, { skip: (page - 1) * dcatPageSize, limit: dcatPageSize })
  const catalog = await catalogOf(registry, place, entries)
  return { '@context': context, '@graph': [catalog, paging(place, page, total)] }
}

function paging({ address, path }: DcatPlace, page: number, total: number): object {
  const last = Math.max(1, Math.ceil(total / dcatPageSize))
  const at = (number: number) => ({ '@id': `${address}${path}/dcat.jsonld?page=${number}` })
  return {
    ...at(page),
    '@type': ['hydra:PagedCollection', 'hydra:PartialCollectionView'],
    'hydra:totalItems': total,
    'hydra:itemsPerPage': dcatPageSize,
    'hydra:firstPage': at(1),
    'hydra:first': at(1),
    'hydra:lastPage': at(last),
    'hydra:last': at(last),
    ...(page > 1 && { 'hydra:previousPage': at(page - 1), 'hydra:previous': at(page - 1) }),
    ...(page < last && { 'hydra:nextPage': at(page + 1), 'hydra:next': at(page + 1) }),
  }
}

type Described = Entry & Pick<OpenEntry, 'openItems'> & Partial<Pick<OpenEntry, 'released' | 'asOf' | 'bytes'>>
type Place = Omit<DcatPlace, 'files'> & Partial<Pick<DcatPlace, 'files'>>

async function catalogOf(registry: Registry, place: Place, entries: readonly Described[]): Promise<object> {
  const { address, path } = place
  const themes = new Map((await listClassifications(registry)).map((one) => [one.code, one]))
  const titles = { title: '政务信息资源目录（对外公开）', description: '各机关单位对外公开的政务信息资源（信息项列为“对外公开”的部分）。' }
  return {
    '@id': `${address}${path}`,
    '@type': 'dcat:Catalog',
    'dct:title': inChinese(titles.title),
    'dct:description': inChinese(titles.description),
    'dct:publisher': { '@id': `${address}${path}#publisher`, ...agent(await publisher(registry.store.query)) },
    'dct:language': { '@id': 'http://publications.europa.eu/resource/authority/language/ZHO' },
    'dct:modified': dateTime(registry.clock()),
    'dcat:dataset': entries.map((entry) => dataset(entry, place, themes)),
  }
}

/** The office publishes (Art. 7.5). */
async function publisher(query: Query): Promise<string> {
  const office = await agencyWith(query, 'office')
  return office === undefined ? roles.office.zh : nameOfAgency(query, office)
}

function isPublished({ state, content, schema }: Entry): boolean {
  return state === 'active' && content.sharing !== 'none' && schema.items.some(isPublic)
}

function isPublic({ openness }: Item): boolean {
  return openness === 'public'
}

function dataset(entry: Described, place: Place, themes: ReadonlyMap<string, Classification>): object {
  const { code, catalogCode, agency, agencyName, content, catalogVersion, publishedAt, standard, openItems, released, asOf } = entry
  const { title, abstract, keywords, classification, cycle, openWithConditions, region, temporal } = content
  const { address, path } = place
  const labels = openItems.map(({ label }) => label).join('、')
  return {
    '@id': `${address}/resources/${code}`,
    '@type': 'dcat:Dataset',
    'dct:identifier': catalogCode ?? code,
    'dct:title': inChinese(title),
    'dct:description': inChinese(abstract.trim() || `${agencyName}的${title}：${labels}。`),
    'dct:publisher': { '@id': `${address}/agencies/${agency}`, ...agent(agencyName) },
    'dcat:contactPoint': contactPoint(entry),
    ...(keywords.length > 0 && { 'dcat:keyword': keywords.map(inChinese) }),
    ...(classification !== undefined && { 'dcat:theme': theme(classification, address, themes) }),
    ...(region !== undefined && { 'dct:spatial': { '@type': 'dct:Location', 'dct:identifier': region } }),
    ...(temporal && { 'dct:temporal': period(temporal) }),
    ...(standard !== null && { 'dct:conformsTo': { '@id': `${address}/standards/${standard}` } }),
    ...(openWithConditions !== undefined && {
      'dct:accessRights': { '@type': 'dct:RightsStatement', 'dct:description': inChinese(openWithConditions) },
    }),
    'dct:accrualPeriodicity': { '@id': `${frequencyUrl}${frequencies[cycle]}` },
    'dct:issued': dateTime(released ?? publishedAt),
    ...(asOf && { 'dct:modified': dateTime(asOf) }),
    'dcat:version': String(catalogVersion),
    ...(place.files && {
      'dcat:landingPage': { '@id': `${address}${path}/${code}`, '@type': 'foaf:Document' },
      'dcat:distribution': place.files.map((file) => distribution(entry, place, file)),
    }),
    'csvw:column': openItems.map(({ name, label, type }) => ({
      '@type': 'csvw:Column',
      'csvw:name': name,
      'csvw:title': inChinese(label),
      'csvw:datatype': type,
    })),
  }
}

function distribution(entry: Described, { address, path }: Place, { kind, mediaType }: OpenFile): object {
  const { code, content, asOf, bytes } = entry
  const page = `${address}${path}/${code}`
  const size = bytes?.[kind]
  return {
    '@id': `${page}#${kind}`,
    '@type': 'dcat:Distribution',
    'dct:title': { '@value': kind.toUpperCase() },
    'dcat:accessURL': { '@id': page },
    'dcat:downloadURL': { '@id': `${page}/data.${kind}` },
    'dcat:mediaType': { '@id': `${mediaTypeUrl}${mediaType}`, '@type': 'dct:MediaType' },
    ...(size !== undefined && { 'dcat:byteSize': { '@value': String(size), '@type': `${xsd}nonNegativeInteger` } }),
    ...(asOf && { 'dct:modified': dateTime(asOf) }),
    ...(content.openLicence !== undefined && { 'dct:license': licence(content.openLicence) }),
  }
}

function licence(text: string): object {
  const document = { '@type': 'dct:LicenseDocument' }
  return /^https?:/.test(text) && URL.canParse(text)
    ? { '@id': new URL(text).href, ...document }
    : { ...document, 'dct:title': inChinese(text) }
}

function contactPoint({ agencyName, content: { contact } }: Entry): object {
  const phone = contact?.phone?.replaceAll(/[^0-9+-]/g, '')
  return {
    '@type': 'vcard:Organization',
    'vcard:fn': contact?.name ?? agencyName,
    ...(contact?.email !== undefined && { 'vcard:hasEmail': { '@id': `mailto:${encodeURI(contact.email)}` } }),
    ...(phone && { 'vcard:hasTelephone': { '@id': `tel:${phone}` } }),
  }
}

function theme(code: string, address: string, themes: ReadonlyMap<string, Classification>): object {
  const { zh, en } = themes.get(code) ?? { zh: code, en: code }
  return {
    '@id': `${address}/classifications/${code}`,
    '@type': 'skos:Concept',
    'skos:notation': code,
    'skos:prefLabel': [inChinese(zh), { '@value': en, '@language': 'en' }],
  }
}

function period({ from, to }: { from?: string; to?: string }): object {
  const day = (value: string) => ({ '@value': value, '@type': `${xsd}date` })
  return {
    '@type': 'dct:PeriodOfTime',
    ...(from !== undefined && { 'dcat:startDate': day(from) }),
    ...(to !== undefined && { 'dcat:endDate': day(to) }),
  }
}

function agent(name: string): object {
  return { '@type': 'foaf:Agent', 'foaf:name': inChinese(name) }
}

function inChinese(text: string): object {
  return { '@value': text, '@language': 'zh' }
}

function dateTime(instant: Date): object {
  return { '@value': instant.toISOString(), '@type': `${xsd}dateTime` }
}
