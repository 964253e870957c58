import { Type } from 'typebox'
import { Schema } from '../../protocol/schema.ts'
import { CatalogContent, DraftItems } from '../registry/catalog/content.ts'
import { nullable } from './shapes.ts'

/** Shapes of answers about the catalog. */

const Change = Type.Object({ field: Type.String(), before: Type.Unknown(), after: Type.Unknown() })

/** What two versions differ in. */
export const Diff = Type.Object({
  metadata: Type.Array(Change),
  added: DraftItems,
  removed: DraftItems,
  changed: Type.Array(Type.Object({ item: Type.String(), fields: Type.Array(Change) })),
})

export const Checked = Type.Object({
  faults: Type.Array(Type.Object({ field: nullable(Type.String()), item: nullable(Type.String()), zh: Type.String(), en: Type.String() })),
  sources: Type.Array(
    Type.Object({
      item: Type.String(),
      label: Type.String(),
      resource: Type.String(),
      title: Type.String(),
      agency: Type.String(),
      agencyName: Type.String(),
      basis: nullable(Type.String()),
    }),
  ),
  incompatible: Type.Array(
    Type.Object({
      items: nullable(Type.Array(Type.String())),
      zh: Type.String(),
      en: Type.String(),
      never: Type.Optional(Type.Boolean()),
      receivers: Type.Array(Type.String()),
    }),
  ),
})

/** What was published without a registration may lack its class, and have an empty abstract. */
export const Published = Type.Object({
  ...CatalogContent.properties,
  abstract: Type.String(),
  classification: Type.Optional(CatalogContent.properties.classification),
})

export const Entry = Type.Object({
  code: Type.String(),
  catalogCode: nullable(Type.String()),
  agency: Type.String(),
  agencyName: Type.String(),
  producer: nullable(Type.String()),
  keep: Type.String(),
  state: Type.String(),
  openness: Type.String(),
  version: Type.Integer(),
  catalogVersion: Type.Integer(),
  schema: Schema,
  storedClosed: Type.Array(Type.String()),
  standard: nullable(Type.String()),
  content: Published,
  publishedAt: Type.String(),
  withdrawnAt: nullable(Type.String()),
  withdrawnBecause: nullable(Type.String()),
})

export const Version = Type.Object({
  number: Type.Integer(),
  version: Type.Integer(),
  content: Published,
  registration: nullable(Type.String()),
  submittedBy: nullable(Type.String()),
  submittedAt: nullable(Type.String()),
  secrecyReview: nullable(Type.Object({}, { additionalProperties: true })),
  publishedBy: Type.String(),
  publishedAt: Type.String(),
})
