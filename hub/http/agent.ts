import { Type } from 'typebox'
import { Compile } from 'typebox/compile'
import { AgentReport, agentPaths, deliveryMediaType, PollRequest, ReceiptsRequest } from '../../protocol/api.ts'
import { answerLimits, SealedAnswer } from '../../protocol/asks.ts'
import { batchMediaType } from '../../protocol/batch.ts'
import { QianzhiError } from '../../protocol/errors.ts'
import type { AgentRequests } from '../exchange/agent-requests.ts'
import type { Exchange } from '../exchange.ts'
import type { Api } from './server.ts'
import { holdsSoundTexts } from './texts.ts'
import type { ExchangeAgent } from '../exchange/agent.ts'

/** What an agent tells beside must not hold what it asks for. */
const PollBody = Type.Object({ ...PollRequest.properties, report: Type.Unknown() })
const reportShape = Compile(AgentReport)

function soundReport(report: unknown): AgentReport | undefined {
  return reportShape.Check(report) && holdsSoundTexts(report) ? report : undefined
}

/** An agent of the same agency, behind a one-way gap. */
const carriedId = Type.Optional(Type.String({ minLength: 1, maxLength: 64 }))
const Carried = Type.Object({ for: carriedId })
const OfResource = Type.Object({ resource: Type.String({ maxLength: 64 }), for: carriedId })
const digits = Type.String({ pattern: '^[0-9]{1,10}$' })
const AfterPlace = Type.Object({ resource: Type.String({ maxLength: 64 }), epoch: Type.Optional(digits), seq: Type.Optional(digits) })

/** What agents push, ask for and acknowledge; behind the request signature, which sets `request.agent`. */
export function agentApi(
  exchange: Exchange,
  asks: AgentRequests,
  carried: (carrier: ExchangeAgent, id: string) => Promise<ExchangeAgent>,
): Api {
  const from = async ({ agent, query }: { agent: ExchangeAgent; query: { for?: string } }) =>
    query.for === undefined || query.for === agent.id ? agent : { ...(await carried(agent, query.for)), signed: agent.signed! }
  return async (app) => {
    // Waiting polls are answered when the hub stops.
    const ending = new AbortController()
    app.addHook('preClose', async () => ending.abort())

    app.post(agentPaths.batches, { schema: { querystring: Carried } }, async (request) => {
      if (!request.headers['content-type']?.startsWith(batchMediaType)) {
        throw new QianzhiError('QZ-REQUEST-INVALID', {
          reason: { zh: `正文须为 ${batchMediaType}`, en: `the body must be ${batchMediaType}` },
        })
      }
      return exchange.accept(await from(request), request.rawBody)
    })

    const polling = { schema: { body: PollBody, querystring: Carried }, bodyLimit: 8 << 20, config: { apart: 'report' } }
    app.post(agentPaths.poll, polling, async (request, reply) => {
      // An agent that hung up waits for nothing any more.
      const gone = new AbortController()
      reply.raw.once('close', () => gone.abort())
      // For another one its policy is fetched, and what the hub wants of it: its deliveries are for itself alone.
      const routes = request.query.for === undefined ? request.body.routes : []
      const poll = { ...request.body, routes, report: soundReport(request.body.report) }
      const delivery = await exchange.poll(await from(request), poll, AbortSignal.any([gone.signal, ending.signal]))
      // A connection that was in use when the server began to close would be kept alive for its whole idle time.
      if (ending.signal.aborted) void reply.header('connection', 'close')
      return reply.type(deliveryMediaType).send(delivery)
    })

    app.post(agentPaths.receipts, { schema: { body: ReceiptsRequest }, bodyLimit: 8 << 20 }, async (request) => {
      await exchange.receipts(request.agent, request.body.receipts)
      return {}
    })

    app.post(agentPaths.answers, { schema: { body: SealedAnswer }, bodyLimit: answerLimits.request }, async (request) => {
      await asks.answer(request.agent, request.body)
      return {}
    })

    app.get(agentPaths.head, { schema: { querystring: OfResource } }, async (request) =>
      exchange.head(await from(request), request.query.resource),
    )

    app.get(agentPaths.own, { schema: { querystring: AfterPlace } }, async (request, reply) => {
      const { resource, epoch, seq } = request.query
      const after = epoch === undefined ? null : { epoch: Number(epoch), seq: Number(seq ?? 0) }
      return reply.type(deliveryMediaType).send(await exchange.own(request.agent, resource, after))
    })
  }
}
