import { Type, type Static, type TObject, type TSchema } from 'typebox'
import type { ObjectKind } from '../access/relations.ts'
import type { OperationName } from '../access/rights.ts'
import { change } from '../records/registry.ts'
import { applyEvent, type Workflow } from '../registry/workflow.ts'
import { operation, type Call, type Operation } from './operation.ts'
import { actionsOn } from '../registry/actions.ts'
import { editing } from '../registry/editing.ts'
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

/** Reads an object, with its revision; of a case also what the caller may do with it (`actions`). */
export function reading<A extends TObject>(spec: Reading<A>): Operation {
  const { objectKind, answer } = spec
  return operation({
    ...spec,
    params: ById,
    answer: withActions(withRevision(answer)),
    run: async (call) => {
      const { registry, principal, params } = call
      const found = await revised(registry.store.query, objectKind, params.id, () =>
        spec.run({ ...call, query: undefined, body: undefined }),
      )
      const actions = await actionsOn(registry, objectKind, params.id, principal)
      return actions ? { ...found, actions } : found
    },
  })
}

function withActions(shape: TObject): TObject {
  const actions = Type.Optional(Type.Array(Type.String(), { description: '可办理的操作 operations that the caller may take on it now' }))
  return Type.Object({ ...shape.properties, actions })
}

interface Edit<P extends TObject, B extends TSchema, A extends TObject> extends Omit<Operation, 'params' | 'body' | 'run'> {
  objectKind: ObjectKind
  params: P
  body: B
  answer: A
  run(call: Call<Static<P> & { id: string }, never, Static<B>>): Promise<object | void>
}

/** Changes an object that is no case: to what the caller saw, where they say so; answered with the revision that it then has. */
export function edit<P extends TObject, B extends TSchema, A extends TObject>(spec: Edit<P, B, A>): Operation {
  const { objectKind: kind, answer } = spec
  return operation({
    ...spec,
    answer: withRevision(answer),
    run: async (call) => {
      const edited = { kind, id: (call.params as { id: string }).id, seen: call.seen }
      let revision = ''
      const registry = editing(call.registry, edited, (made) => void (revision = made))
      return Object.assign({}, await spec.run({ ...call, registry } as never), { revision })
    },
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
