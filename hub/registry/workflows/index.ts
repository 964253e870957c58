import type { Workflow } from '../workflow.ts'
import { correctionFlow } from './correction.ts'
import { declarationFlow } from './declaration.ts'
import { orderFlow } from './order.ts'
import { resourceFlow } from './resource.ts'

/** Every workflow of the registry. */
export const workflows: readonly Workflow<string, never>[] = [correctionFlow, declarationFlow, orderFlow, resourceFlow] as never
