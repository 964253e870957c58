import { Type } from 'typebox'
import { resourceFlow } from '../registry/publishing/resource-workflow.ts'
import { eventOperations } from './events.ts'
import type { Operation } from './operation.ts'
import { nullable, ReasonBody } from './shapes.ts'

const Published = Type.Object({
  code: Type.String(),
  agency: Type.String(),
  title: Type.String(),
  state: Type.String(),
  reason: nullable(Type.String()),
})

/** The secrecy supervisor's stop 保密叫停 (Art. 26). */
export const secrecyOperations: readonly Operation[] = eventOperations(resourceFlow, '/resources', Published, {
  stop: { text: { zh: '保密叫停', en: 'stop at once' }, body: ReasonBody, example: { reason: '疑似涉密，待审查' } },
  release: { text: { zh: '恢复', en: 'release' }, body: ReasonBody, example: { reason: '经审查不涉密' } },
})
