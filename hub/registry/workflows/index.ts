import type { Workflow } from '../workflow.ts'
import { correctionFlow } from './correction.ts'

/** Every workflow of the registry. */
export const workflows: readonly Workflow<string, never>[] = [correctionFlow as never]
