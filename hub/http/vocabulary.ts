import { objectNames } from '../records/refusals.ts'
import { roles } from '../records/roles.ts'
import { orderCauses } from '../registry/cases/orders.ts'
import { opennessStates } from '../registry/catalog/content.ts'
import { valueNames } from '../registry/catalog/labels.ts'
import { workflows } from '../registry/workflows.ts'
import { operationWords } from './operation-words.ts'
import type { Vocabulary } from './wording.ts'

/** What the hub's own tables call acts, states, roles, objects and values. */
export const vocabulary: Vocabulary = {
  acts: Object.fromEntries(operationWords),
  states: Object.fromEntries(workflows.map(({ name, states }) => [name, states])),
  roles,
  kinds: Object.fromEntries(Object.entries(objectNames).map(([kind, zh]) => [kind, { zh, en: kind }])),
  values: { ...valueNames, cause: orderCauses, frequency: valueNames.cycle, entryOpenness: opennessStates },
}
