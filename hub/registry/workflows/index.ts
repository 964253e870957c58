import type { Workflow } from '../workflow.ts'
import { applicationFlow } from './application.ts'
import { correctionFlow } from './correction.ts'
import { declarationFlow } from './declaration.ts'
import { demandFlow } from './demand.ts'
import { grantFlow } from './grant.ts'
import { machineFlow } from './machine.ts'
import { orderFlow } from './order.ts'
import { publicationFlow } from './publication.ts'
import { registrationFlow } from './registration.ts'
import { resourceFlow } from './resource.ts'
import { standardFlow } from './standard.ts'

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
