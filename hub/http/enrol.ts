import { agentPaths, EnrolRequest, type EnrolAnswer } from '../../protocol/api.ts'
import { QianzhiError } from '../../protocol/errors.ts'
import { keyId } from '../../protocol/signature.ts'
import { enrol } from '../registry/enrolment.ts'
import type { Registry } from '../registry/registry.ts'
import { checkVersion, verifySignature, type Api } from './server.ts'

/** Enrolment: signed with the very key that is being enrolled, which proves that the agent holds it. */
export function enrolApi(registry: Registry, policyFor: (agent: string, reportedSerial: number) => Promise<{ jws: string }>): Api {
  return async (app) => {
    app.post(
      agentPaths.enrol,
      { schema: { body: EnrolRequest }, onRequest: checkVersion, bodyLimit: 4096 },
      async (request): Promise<EnrolAnswer> => {
        const { publicKey } = request.body
        await verifySignature(request, registry.clock(), async (signer) => {
          if (signer === keyId(publicKey)) return publicKey
          throw new QianzhiError('QZ-REQUEST-SIGNATURE', { reason: 'it is not by the key that is to be enrolled' })
        })
        const agent = await enrol(registry, request.body)
        const { jws } = await policyFor(agent.id, 0)
        return { agent: agent.id, agency: agent.agency, policy: jws, time: registry.clock().toISOString() }
      },
    )
  }
}
