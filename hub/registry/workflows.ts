import type { Workflow } from './workflow.ts'
import { applicationFlow } from './grants/application-workflow.ts'
import { correctionFlow } from './workflows/correction.ts'
import { declarationFlow } from './workflows/declaration.ts'
import { demandFlow } from './workflows/demand.ts'
import { grantFlow } from './grants/grant-workflow.ts'
import { machineFlow } from './machines/machine-workflow.ts'
import { orderFlow } from './workflows/order.ts'
import { publicationFlow } from './workflows/publication.ts'
import { registrationFlow } from './publishing/registration-workflow.ts'
import { resourceFlow } from './publishing/resource-workflow.ts'
import { standardFlow } from './publishing/standard-workflow.ts'

/** Every workflow of the registry. */
export const workflows: readonly Workflow<string, never>[] = [
  applicationFlow,
  demandFlow,
  grantFlow,
  machineFlow,
  publicationFlow,
  correctionFlow,
  declarationFlow,
  orderFlow,
  registrationFlow,
  resourceFlow,
  standardFlow,
] as never
