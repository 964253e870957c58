import meta from 'virtual:qianzhi-meta'

export type { Field, Text } from '../meta-shape.ts'

export const { operations, acts, states, roles, kinds, values } = meta
