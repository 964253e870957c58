import { Type, type Static } from 'typebox'

/** `jobs:` of hub.yaml. */
export const JobsFile = Type.Object(
  { days: Type.Optional(Type.Number({ exclusiveMinimum: 0, maximum: 3650 })) },
  { additionalProperties: false },
)

export interface JobSettings {
  /** Days that jobs stay behind their end, and their files with them. */
  days: number
}

export function jobSettings(file: Static<typeof JobsFile> = {}): JobSettings {
  return { days: 7, ...file }
}
