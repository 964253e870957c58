import type { LocalizedText } from '../../../protocol/localized.ts'
import type { Withheld } from '../../../protocol/policy.ts'
import { enteredSql, producerOf, sharedSql } from '../../records/supply.ts'
import type { Query } from '../../store/store.ts'

interface Row {
  resource: string
  state: 'active' | 'suspended' | 'withdrawn'
  shared: boolean
  entered: boolean
  producer: string | null
  named: string | null
}

/** Resources of its own agency that an agent may not supply now, at most 200, by code: why, and who must act. */
export async function withheldFrom(query: Query, agent: string, agency: string): Promise<Withheld[]> {
  const rows = await query<Row>(
    `select * from (
       select r.code as resource, r.state, ${sharedSql} as shared, ${enteredSql} as entered, ${producerOf} as producer, r.producer as named from resource r where r.agency = $2
     ) as own where not shared or producer is distinct from $1 order by resource limit 200`,
    [agent, agency],
  )
  return rows.map((row) => ({ resource: row.resource, ...why(row) }))
}

/** What the agency's own people do: the registrar registers it, the reviewer publishes. */
const nameProducer: LocalizedText = {
  zh: '应由本机提供的，由本单位编目人员在资源登记中写明 producer，审核人员发布；之后自动继续',
  en: 'if it is to be this machine, the registrar of this agency names it as producer in the registration and its reviewer publishes; then it goes on by itself',
}
const publishAnew: LocalizedText = {
  zh: '仍要共享的，由本单位编目人员登记、审核人员发布；之后自动继续',
  en: 'if it is to be shared, the registrar of this agency registers it and its reviewer publishes; then it goes on by itself',
}
const frontEnd: LocalizedText = {
  zh: '应由前置机提供的，由本单位编目人员登记提供方式为前置交换，审核人员发布；之后自动继续',
  en: 'if a machine is to supply it, the registrar of this agency registers front-end as its supply mode and its reviewer publishes; then it goes on by itself',
}

function why({ state, shared, entered, producer, named }: Row): Omit<Withheld, 'resource'> {
  if (state === 'withdrawn') return { reason: { zh: '资源已撤销', en: 'it is withdrawn' }, next: publishAnew }
  if (state === 'suspended')
    return {
      reason: { zh: '资源已被保密叫停', en: 'it is stopped for secrecy' },
      next: {
        zh: '由保密监督员解除；之后自动继续',
        en: 'the secrecy supervisor releases it; then it goes on by itself',
      },
    }
  if (!shared) return { reason: { zh: '资源不予共享', en: 'it is not shared' }, next: publishAnew }
  if (entered) return { reason: { zh: '由本单位人员在线填报', en: 'people of the agency enter its rows' }, next: frontEnd }
  if (producer !== null) return { reason: { zh: `由本单位的 ${producer} 提供`, en: `${producer} supplies it` }, next: nameProducer }
  if (named !== null)
    return { reason: { zh: `指定的 ${named} 已被撤销`, en: `${named}, which is named for it, is revoked` }, next: nameProducer }
  return {
    reason: { zh: '本单位有多台前置机，未指定由哪台提供', en: 'the agency has several machines, and none is named for it' },
    next: nameProducer,
  }
}
