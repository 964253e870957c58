/** How files of rows that are written are called: by their resource, and where they are increments by number and kind. */
import type { SinkTable } from '../../database.ts'
import type { Making } from './output-state.ts'
import { formatOf } from '../formats/write-file.ts'

/** Names that Windows gives to devices, whatever ending they have. */
const deviceNames = /^(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$)/

function stem(resource: string): string {
  return deviceNames.test(resource) ? `_${resource}` : resource
}

export function fileName(sink: SinkTable, { kind, number }: Pick<Making, 'kind' | 'number'>): string {
  const { ending } = formatOf(sink.files!)
  if (sink.files!.write === 'whole') return `${stem(sink.resource)}.${ending}`
  return `${stem(sink.resource)}.${String(number).padStart(6, '0')}.${kind}.${ending}`
}

/** The number in a name of this resource's files; 0 where they have none. Undefined for every other file. */
export function fileNumber(name: string, resource: string): number | undefined {
  if (!name.startsWith(`${stem(resource)}.`)) return undefined
  const rest = name.slice(stem(resource).length + 1).replace(/\.manifest\.json$/, '')
  const parts = /^(?:(\d{6,15})\.(?:whole|changes)\.)?(?:csv|jsonl|xlsx)$/.exec(rest)
  return parts ? Number(parts[1] ?? 0) : undefined
}
