import { Type, type Static, type TObject, type TProperties, type TSchema } from 'typebox'
import { seenPattern } from '../../records/name-form.ts'
import { codePattern, identifierPattern, Item, type Schema } from '../../../protocol/schema.ts'
import { subjects } from './subjects.ts'

export const formats = ['database', 'spreadsheet', 'document', 'image', 'media', 'own'] as const
export const sharings = ['unconditional', 'conditional', 'none'] as const
export const shareModes = ['query', 'api', 'exchange'] as const
export const supplyModes = ['front-end', 'form', 'excel'] as const
export const updateCycles = ['realtime', 'daily', 'weekly', 'monthly', 'quarterly'] as const

const closed = { additionalProperties: false }
const Code = Type.String({ pattern: codePattern })
const line = (longest: number) => Type.String({ minLength: 1, maxLength: longest, pattern: seenPattern })

export const sensitivities = ['ordinary', 'personal', 'sensitive'] as const

/** A value that an item may have, and what it means: one line of its list 字典. */
export const DictionaryEntry = Type.Object({ value: Type.String({ maxLength: 200 }), label: Type.Optional(line(200)) }, closed)
export type DictionaryEntry = Static<typeof DictionaryEntry>

/** An item as the catalog describes it: what travels, and what forms, templates, checks, queries and the open data catalog are made from. */
export const CatalogItem = Type.Object(
  {
    ...Item.properties,
    description: Type.Optional(Type.String({ maxLength: 2000 })),
    example: Type.Optional(Type.String({ maxLength: 200 })),
    /** The only values that it takes. */
    dictionary: Type.Optional(Type.Array(DictionaryEntry, { minItems: 1, maxItems: 2000 })),
    /** Rows are found and sorted by it, beside the key. */
    searchable: Type.Optional(Type.Boolean()),
    /** Personal or sensitive information (GB/T 35273): ordinary where it is not said. */
    sensitivity: Type.Optional(Type.Enum([...sensitivities])),
  },
  closed,
)
export type CatalogItem = Static<typeof CatalogItem>

/** The schema as it travels to agents: without what only the catalog says. */
export function wireSchema(schema: Schema): Schema {
  const known = Object.keys(Item.properties)
  const items = schema.items.map((item) => Object.fromEntries(Object.entries(item).filter(([name]) => known.includes(name))) as Item)
  return { ...schema, items }
}

/** Whom to ask about a resource. */
export const Contact = Type.Object(
  {
    name: line(100),
    phone: Type.Optional(line(60)),
    email: Type.Optional(Type.String({ pattern: '^[^@\\s]+@[^@\\s]+$', maxLength: 200 })),
  },
  closed,
)
const Day = Type.String({ pattern: '^\\d{4}-\\d\\d-\\d\\d$' })

/** Why an item is collected although another agency supplies it (Art. 13). */
export const Exception = Type.Object({ item: Type.String({ pattern: identifierPattern }), basis: line(500) }, closed)
export type Exception = Static<typeof Exception>

/**
 * All that a catalog entry says (Art. 9, 10; metadata after the national guide). Conditions are those of conditional sharing, or the
 * legal basis of none. The technical code, the agency and the official code stand beside it.
 */
export const CatalogContent = Type.Object(
  {
    title: line(200),
    classification: Type.String({ pattern: '^[1-9][0-9]{2}([0-9]{3}([0-9]{1,6})?)?$' }),
    abstract: line(2000),
    format: Type.Enum([...formats]),
    sharing: Type.Enum([...sharings]),
    sharingConditions: Type.Optional(line(1000)),
    shareModes: Type.Array(Type.Enum([...shareModes]), { maxItems: 3, uniqueItems: true }),
    openWithConditions: Type.Optional(line(1000)),
    cycle: Type.Enum([...updateCycles]),
    supplyMode: Type.Enum([...supplyModes]),
    subject: Type.Enum([...subjects]),
    licence: Type.Boolean(),
    secrecy: Type.Boolean(),
    region: Type.Optional(Type.String({ pattern: '^[0-9]{6,12}$' })),
    keywords: Type.Array(line(40), { maxItems: 30, uniqueItems: true }),
    related: Type.Array(Code, { maxItems: 50, uniqueItems: true }),
    keep: Type.Enum(['store', 'relay']),
    producer: Type.Optional(Type.String({ minLength: 1, maxLength: 100 })),
    table: Type.String({ pattern: identifierPattern }),
    /** Licence under which the public items are open: its name or address. */
    openLicence: Type.Optional(line(300)),
    contact: Type.Optional(Contact),
    /** The days that the data is about. */
    temporal: Type.Optional(Type.Object({ from: Type.Optional(Day), to: Type.Optional(Day) }, closed)),
    items: Type.Array(CatalogItem, { minItems: 1, maxItems: 400 }),
    storedClosed: Type.Array(Type.String({ pattern: identifierPattern }), { maxItems: 400, uniqueItems: true }),
    exceptions: Type.Array(Exception, { maxItems: 400 }),
  },
  closed,
)
export type CatalogContent = Static<typeof CatalogContent>

/** Items as far as they are drafted. */
export const DraftItems = Type.Array(Type.Partial(CatalogItem, closed), { maxItems: 400 })

/** What is being drafted: what is there has the right form, anything may be missing yet. */
export const DraftContent = draftShape((shape) => shape)
export type DraftContent = Omit<Partial<CatalogContent>, 'items' | 'exceptions' | 'contact'> & {
  items?: Partial<CatalogItem>[]
  exceptions?: Partial<Exception>[]
  contact?: Partial<Static<typeof Contact>>
}

/** How the pattern of a text begins that may be left empty. */
export const emptyOr = '^\\s*$|'

/** A draft as it is taken: a text that was left empty is not given yet. */
export const GivenContent = draftShape(orEmpty)

function draftShape(of: (shape: TSchema) => TSchema) {
  const some = ({ properties }: TObject) => Type.Partial(Type.Object(mapped(properties, of)), closed)
  const { items, exceptions, contact } = CatalogContent.properties
  const whole = Type.Object({
    ...mapped(CatalogContent.properties, of),
    contact: some(contact),
    items: Type.Array(some(items.items), { maxItems: 400 }),
    exceptions: Type.Array(some(exceptions.items), { maxItems: 400 }),
  })
  return Type.Unsafe<DraftContent>(Type.Partial(whole, closed))
}

function mapped(properties: TProperties, of: (shape: TSchema) => TSchema): TProperties {
  return Object.fromEntries(Object.entries(properties).map(([name, shape]) => [name, of(shape)]))
}

/** A text with a form, or none. */
function orEmpty(shape: TSchema): TSchema {
  const { type, pattern, maxLength } = shape as { type?: unknown; pattern?: string; maxLength?: number }
  if (type !== 'string') return shape
  return Type.String({ ...(maxLength !== undefined && { maxLength }), ...(pattern !== undefined && { pattern: emptyOr + pattern }) })
}

/** Without the texts that were left empty, and those of its parts. */
export function givenContent(content: DraftContent): DraftContent {
  const { items, exceptions, contact } = content
  return {
    ...filled(content),
    ...(contact && { contact: filled(contact) }),
    ...(items && { items: items.map(filled) }),
    ...(exceptions && { exceptions: exceptions.map(filled) }),
  }
}

function filled<T extends object>(values: T): T {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => typeof value !== 'string' || value.trim() !== '')) as T
}

/** What a new draft says where nothing else is known. */
export const emptyContent: DraftContent = {
  format: 'database',
  shareModes: ['query', 'api', 'exchange'],
  licence: false,
  secrecy: false,
  keywords: [],
  related: [],
  keep: 'store',
  items: [],
  storedClosed: [],
  exceptions: [],
}

export const opennessStates = {
  internal: { zh: '全部对内公开', en: 'all internal' },
  public: { zh: '全部对外公开', en: 'all public' },
  closed: { zh: '不公开', en: 'closed' },
  partial: { zh: '部分公开', en: 'partly open' },
} as const
export type OpennessState = keyof typeof opennessStates

/**
 * The state of a resource by its items (Art. 5). A key cannot be closed (it may be a surrogate), so that a resource is closed where all
 * else is. Internal items beside public ones are a mix.
 */
export function opennessState({ items }: Pick<Schema, 'items'>): OpennessState {
  const besideKey = items.filter(({ key }) => !key)
  if (besideKey.length > 0 && besideKey.every(({ openness }) => openness === 'closed')) return 'closed'
  const [first, ...others] = new Set(items.map(({ openness }) => openness))
  return others.length > 0 || first === undefined ? 'partial' : first
}
