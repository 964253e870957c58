import { accessOperations } from './access.ts'
import { applicationOperations } from './applications.ts'
import { correctionOperations } from './corrections.ts'
import { declarationOperations } from './declarations.ts'
import type { Operation } from './operation.ts'
import { orderOperations } from './orders.ts'
import { recordOperations } from './records.ts'
import { secrecyOperations } from './secrecy.ts'
import { supervisionOperations } from './supervision.ts'

/** Every operation of the registry's API. */
export const operations: readonly Operation[] = [
  ...accessOperations,
  ...applicationOperations,
  ...correctionOperations,
  ...declarationOperations,
  ...orderOperations,
  ...recordOperations,
  ...secrecyOperations,
  ...supervisionOperations,
]
