import { correctionOperations } from './corrections.ts'
import type { Operation } from './operation.ts'

/** Every operation of the registry's API. */
export const operations: readonly Operation[] = [...correctionOperations]
