import { accessOperations } from './access.ts'
import { agencyOperations } from './agencies.ts'
import { applicationOperations } from './applications.ts'
import { attachmentOperations } from './attachments.ts'
import { catalogOperations } from './catalog.ts'
import { correctionOperations } from './corrections.ts'
import { credentialOperations } from './credentials.ts'
import { declarationOperations } from './declarations.ts'
import { demandOperations } from './demands.ts'
import { evaluationOperations } from './evaluations.ts'
import { excelOperations } from './excel.ts'
import { formOperations } from './forms.ts'
import { grantOperations } from './grants.ts'
import { jobOperations } from './jobs.ts'
import { lineOperations } from './lines.ts'
import { machineOperations } from './machines.ts'
import { namedShape } from './names.ts'
import { openingOperations } from './openings.ts'
import type { Operation } from './operation.ts'
import { operatingOperations } from './operating.ts'
import { orderOperations } from './orders.ts'
import { peopleOperations } from './people.ts'
import { publicationOperations } from './publications.ts'
import { queryOperations } from './queries.ts'
import { reconciliationOperations } from './reconciliations.ts'
import { recordOperations } from './records.ts'
import { registrationOperations } from './registrations.ts'
import { searchOperations } from './search.ts'
import { secrecyOperations } from './secrecy.ts'
import { standardOperations } from './standards.ts'
import { standardQueryOperations } from './standard-queries.ts'
import { supervisionOperations } from './supervision.ts'
import { tableOperations } from './tables.ts'
import { todoOperations } from './todo.ts'
import { wallOperations } from './wall.ts'
import { webhookOperations } from './webhooks.ts'

const own: readonly Operation[] = [
  ...accessOperations,
  ...peopleOperations,
  ...agencyOperations,
  ...applicationOperations,
  ...attachmentOperations,
  ...catalogOperations,
  ...correctionOperations,
  ...credentialOperations,
  ...demandOperations,
  ...evaluationOperations,
  ...excelOperations,
  ...formOperations,
  ...grantOperations,
  ...jobOperations,
  ...lineOperations,
  ...machineOperations,
  ...openingOperations,
  ...operatingOperations,
  ...publicationOperations,
  ...declarationOperations,
  ...orderOperations,
  ...queryOperations,
  ...standardQueryOperations,
  ...reconciliationOperations,
  ...recordOperations,
  ...registrationOperations,
  ...secrecyOperations,
  ...standardOperations,
  ...supervisionOperations,
  ...tableOperations,
  ...todoOperations,
  ...wallOperations,
  ...webhookOperations,
]

const all: readonly Operation[] = [...own, ...searchOperations(own)]

/** Every operation of the registry's API. */
export const operations: readonly Operation[] = all.map((operation) =>
  operation.answer ? { ...operation, answer: namedShape(operation.answer) } : operation,
)
