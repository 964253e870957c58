import type { AgentReport, CorrectionNote } from '../../protocol/api.ts'
import { correctionStates, refusalOrigin, type CorrectionState } from '../records/correction-states.ts'
import type { Store } from '../store/store.ts'

interface Row {
  id: string
  origin: string
  state: CorrectionState
  text: string | null
}

/** What has become of the rows that an agent's tables refuse (Art. 18), by route. */
export async function correctionsOf(
  { query }: Pick<Store, 'query'>,
  { sinks }: Pick<AgentReport, 'sinks'>,
): Promise<Map<string, CorrectionNote[]>> {
  const asked = sinks.flatMap(({ route, refused = [] }) =>
    refused.flatMap(({ code, item }) => [refusalOrigin(route, code, item), refusalOrigin(route, code, undefined)]),
  )
  if (asked.length === 0) return new Map()
  const rows = await query<Row>(
    'select id, origin, state, coalesce(answer, reason) as text from correction where not over and origin = any($1) order by id',
    [asked],
  )
  const notes = rows.map(({ id, origin, state, text }) => {
    const [route, code, item] = origin.split(' ') as [string, string, string]
    const note: CorrectionNote = {
      correction: id,
      code,
      ...(item && { item }),
      state: correctionStates[state],
      ...(text !== null && { text }),
    }
    return { route, note }
  })
  return new Map([...Map.groupBy(notes, ({ route }) => route)].map(([route, all]) => [route, all.map(({ note }) => note)]))
}
