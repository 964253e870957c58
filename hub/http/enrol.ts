import { agentPaths, EnrolRequest, type EnrolAnswer } from '../../protocol/api.ts'
import { QianzhiError } from '../../protocol/errors.ts'
import { gapKey } from '../../protocol/gap.ts'
import { keyId } from '../../protocol/signature.ts'
import { agentByKey } from '../registry/machines/agents.ts'
import { enrol } from '../registry/machines/enrolment.ts'
import type { Registry } from '../records/registry.ts'
import { checkVersion, verifySignature, type Api } from './server.ts'

/**
 * Enrolment: signed with the very key that is being enrolled, which proves that the agent holds it. An agent behind a one-way gap has
 * signed its word on the key instead, and another one brings that.
 */
export function enrolApi(registry: Registry, policyFor: (agent: string, reportedSerial: number) => Promise<{ jws: string }>): Api {
  return async (app) => {
    app.post(
      agentPaths.enrol,
      { schema: { body: EnrolRequest }, onRequest: checkVersion, bodyLimit: 4096 },
      async (request): Promise<EnrolAnswer> => {
        const { publicKey, carried } = request.body
        if (carried !== undefined && gapKey.openOwn(carried)?.publicKey !== publicKey)
          throw notByKey('所携声明不是待登记的密钥所签', 'what is carried is not by the key that is to be enrolled')
        await verifySignature(request, registry.clock(), async (signer) => {
          if (carried !== undefined) return (await agentByKey(registry, signer)).publicKey
          if (signer === keyId(publicKey)) return publicKey
          throw notByKey('不是待登记的密钥所签', 'it is not by the key that is to be enrolled')
        })
        const agent = await enrol(registry, request.body)
        const { jws } = await policyFor(agent.id, 0)
        return { agent: agent.id, agency: agent.agency, policy: jws, time: registry.clock().toISOString() }
      },
    )
  }
}

function notByKey(zh: string, en: string): QianzhiError {
  return new QianzhiError('QZ-REQUEST-SIGNATURE', { reason: { zh, en } })
}
