import { correctionOperations } from './corrections.ts'
import { declarationOperations } from './declarations.ts'
import type { Operation } from './operation.ts'
import { orderOperations } from './orders.ts'
import { secrecyOperations } from './secrecy.ts'

/** Every operation of the registry's API. */
export const operations: readonly Operation[] = [
  ...correctionOperations,
  ...declarationOperations,
  ...orderOperations,
  ...secrecyOperations,
]
