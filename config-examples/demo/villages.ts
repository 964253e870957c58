import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import type { ResourceFile } from '../../test/support/exchange.ts'

/** The national statistical division codes of Guangdong's villages: 26,842 real rows. Columns as in `villageColumns`. */
export const villageColumns = ['code', 'name', 'street', 'area', 'city', 'province'] as const

const folder = new URL('.', import.meta.url)

export function readVillages(file: URL | string = new URL('villages-guangdong.csv.gz', folder)): string[][] {
  const lines = gunzipSync(readFileSync(file)).toString().split(/\r?\n/)
  return lines.slice(1).filter(Boolean).map(parseLine)
}

/** `code,"name","street",…`: the code is bare, the others quoted. */
function parseLine(line: string): string[] {
  const comma = line.indexOf(',')
  return [
    line.slice(0, comma),
    ...line
      .slice(comma + 2, -1)
      .split('","')
      .map((text) => text.replaceAll('""', '"')),
  ]
}

export function villagesResource(resource = 'villages', agency = 'statistics'): ResourceFile {
  const text = (id: string, label: string, length: number) => ({
    id,
    name: id,
    label,
    type: 'text' as const,
    length,
    openness: 'internal' as const,
  })
  return {
    resource,
    title: '行政村（社区）区划代码',
    agency,
    table: 'villages',
    items: [
      { ...text('code', '区划代码', 12), key: true, required: true },
      text('name', '名称', 100),
      text('street', '镇街', 100),
      text('area', '县区', 100),
      text('city', '地市', 100),
      text('province', '省份', 100),
    ],
  }
}
