import type { Item } from '../../../protocol/schema.ts'
import { listEntries, type Entry } from './catalog.ts'
import type { Registry } from '../../records/registry.ts'

/** Update cycles as the EU's frequency vocabulary, which DCAT-AP uses, calls them. */
const frequencies: Record<Entry['content']['cycle'], string> = {
  realtime: 'UPDATE_CONT',
  daily: 'DAILY',
  weekly: 'WEEKLY',
  monthly: 'MONTHLY',
  quarterly: 'QUARTERLY',
}
const frequencyUrl = 'http://publications.europa.eu/resource/authority/frequency/'

const context = {
  dcat: 'http://www.w3.org/ns/dcat#',
  dct: 'http://purl.org/dc/terms/',
  foaf: 'http://xmlns.com/foaf/0.1/',
  skos: 'http://www.w3.org/2004/02/skos/core#',
  csvw: 'http://www.w3.org/ns/csvw#',
}

/**
 * The open part of the catalog as DCAT 3 (JSON-LD 1.1): resources in force with public items, of which nothing but these is said.
 * `address`: where the hub is reached; names of things begin with it.
 */
export async function dcatCatalog({ store, clock }: Registry, address: string): Promise<object> {
  const entries = (await listEntries(store.query, null)).filter(isOpen)
  return {
    '@context': context,
    '@id': `${address}/catalog`,
    '@type': 'dcat:Catalog',
    'dct:title': { '@value': '政务信息资源目录(对外公开)', '@language': 'zh' },
    'dct:modified': dateTime(clock()),
    'dcat:dataset': entries.map((entry) => dataset(entry, address)),
  }
}

function isOpen({ state, content, schema }: Entry): boolean {
  return state === 'active' && content.sharing !== 'none' && schema.items.some(isPublic)
}

function isPublic({ openness }: Item): boolean {
  return openness === 'public'
}

function dataset(entry: Entry, address: string): object {
  const { code, catalogCode, agency, agencyName, content, schema, catalogVersion, publishedAt, standard } = entry
  const { title, abstract, keywords, classification, cycle, openWithConditions, region } = content
  return {
    '@id': `${address}/resources/${code}`,
    '@type': 'dcat:Dataset',
    'dct:identifier': catalogCode ?? code,
    'dct:title': inChinese(title),
    ...(abstract !== '' && { 'dct:description': inChinese(abstract) }),
    'dct:publisher': { '@id': `${address}/agencies/${agency}`, '@type': 'foaf:Agent', 'foaf:name': inChinese(agencyName) },
    ...(keywords.length > 0 && { 'dcat:keyword': keywords.map(inChinese) }),
    ...(classification !== undefined && { 'dcat:theme': { '@type': 'skos:Concept', 'skos:notation': classification } }),
    ...(region !== undefined && { 'dct:spatial': { '@type': 'dct:Location', 'dct:identifier': region } }),
    ...(standard !== null && { 'dct:conformsTo': { '@id': `${address}/standards/${standard}` } }),
    ...(openWithConditions !== undefined && {
      'dct:accessRights': { '@type': 'dct:RightsStatement', 'dct:description': inChinese(openWithConditions) },
    }),
    'dct:accrualPeriodicity': { '@id': `${frequencyUrl}${frequencies[cycle]}` },
    'dct:issued': dateTime(publishedAt),
    'dcat:version': String(catalogVersion),
    'csvw:column': schema.items.filter(isPublic).map(({ name, label, type }) => ({
      '@type': 'csvw:Column',
      'csvw:name': name,
      'csvw:title': inChinese(label),
      'csvw:datatype': type,
    })),
  }
}

function inChinese(text: string): object {
  return { '@value': text, '@language': 'zh' }
}

function dateTime(instant: Date): object {
  return { '@value': instant.toISOString(), '@type': 'http://www.w3.org/2001/XMLSchema#dateTime' }
}
