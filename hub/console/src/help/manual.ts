import { groups } from '../places.ts'
import type { Text } from '../meta.ts'
import { t } from '../words.tsx'
import { administration } from './administration.ts'
import { general } from './general.ts'
import { machines } from './machines.ts'
import type { Section } from './section.ts'
import { sharing } from './sharing.ts'
import { supervision } from './supervision.ts'
import { supplying } from './supplying.ts'

export interface Chapter {
  readonly name: Text
  readonly sections: readonly Section[]
}

/** The chapters are the groups of the navigation. */
export const manual: readonly Chapter[] = [
  { name: t('人人都用', 'For everybody'), sections: general },
  ...[supplying, sharing, machines, supervision, administration].map((sections, at) => ({ name: groups[at]!.name, sections })),
]
