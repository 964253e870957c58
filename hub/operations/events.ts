import type { TObject } from 'typebox'
import type { ObjectKind } from '../access/relations.ts'
import type { OperationName } from '../access/rights.ts'
import { change } from '../records/registry.ts'
import { applyEvent, type Workflow } from '../registry/workflow.ts'
import { operation, type Call, type Operation } from './operation.ts'
import { revised, revisionOf } from '../registry/revision.ts'
import { ById, NoBody, withRevision } from './shapes.ts'

interface Event {
  text: Operation['text']
  body?: TObject
  example?: object
}

interface Reading<A extends TObject> extends Omit<Operation, 'run'> {
  objectKind: ObjectKind
  answer: A
  run(call: Call<{ id: string }>): Promise<object>
}

/** Reads a case, with its revision. */
export function reading<A extends TObject>(spec: Reading<A>): Operation {
  const { objectKind, answer } = spec
  return operation({
    ...spec,
    params: ById,
    answer: withRevision(answer),
    run: (call) =>
      revised(call.registry.store.query, objectKind, call.params.id, () => spec.run({ ...call, query: undefined, body: undefined })),
  })
}

/** The operations of a workflow's events: `POST <path>/:id/<event>`, answered with the object as it then is. */
export function eventOperations<S extends string, T extends { state: S }>(
  flow: Workflow<S, T>,
  path: string,
  answer: TObject,
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
      answer: withRevision(answer),
      example,
      decides: flow.decisions?.includes(event) ?? false,
      run: ({ registry, principal, params, body: input, seen }) =>
        change(registry, async (query, affectedAgents) => {
          const after = await applyEvent(flow, event, params.id, { registry, query, affectedAgents, principal, seen, input: { ...input } })
          return { ...after, revision: await revisionOf(query, flow.name, params.id) }
        }),
    }),
  )
}
