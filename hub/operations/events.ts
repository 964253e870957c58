import type { TObject, TSchema } from 'typebox'
import type { OperationName } from '../access/rights.ts'
import { change } from '../records/registry.ts'
import { applyEvent, type Workflow } from '../registry/workflow.ts'
import { operation, type Operation } from './operation.ts'
import { ById, NoBody } from './shapes.ts'

interface Event {
  text: Operation['text']
  body?: TObject
  example?: object
}

/** The operations of a workflow's events: `POST <path>/:id/<event>`, answered with the object as it then is. */
export function eventOperations<S extends string, T extends { state: S }>(
  flow: Workflow<S, T>,
  path: string,
  answer: TSchema,
  events: Record<string, Event>,
): Operation[] {
  return Object.entries(events).map(([event, { text, body = NoBody, example = {} }]) =>
    operation({
      name: `${flow.name}.${event}` as OperationName,
      method: 'POST',
      path: `${path}/:id/${event}`,
      objectKind: flow.name,
      text,
      params: ById,
      body,
      answer,
      example,
      run: ({ registry, principal, params, body: input }) =>
        change(registry, (query, affectedAgents) =>
          applyEvent(flow, event, params.id, { registry, query, affectedAgents, principal, input: { ...input } }),
        ),
    }),
  )
}
