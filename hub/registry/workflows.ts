import type { Workflow } from './workflow.ts'
import { applicationFlow } from './grants/application-workflow.ts'
import { grantFlow } from './grants/grant-workflow.ts'
import { machineFlow } from './machines/machine-workflow.ts'
import { registrationFlow } from './publishing/registration-workflow.ts'
import { resourceFlow } from './publishing/resource-workflow.ts'
import { standardFlow } from './publishing/standard-workflow.ts'
import { correctionFlow } from './cases/corrections.ts'
import { declarationFlow } from './cases/declarations.ts'
import { demandFlow } from './cases/demands.ts'
import { openingFlow } from './cases/openings.ts'
import { orderFlow } from './cases/orders.ts'
import { publicationFlow } from './cases/publications.ts'

/** Every workflow of the registry. */
export const workflows: readonly Workflow<string, never>[] = [
  applicationFlow,
  demandFlow,
  grantFlow,
  machineFlow,
  publicationFlow,
  correctionFlow,
  declarationFlow,
  openingFlow,
  orderFlow,
  registrationFlow,
  resourceFlow,
  standardFlow,
] as never
