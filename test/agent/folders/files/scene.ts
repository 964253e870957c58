/** A story of files, told in batches: for tests that interrupt it. */
import type { Change, Part } from '../../../../agent/database.ts'
import { FileSink } from '../../../../agent/folders/files/sink.ts'
import { partBytes, partsOf, partValues } from '../../../../protocol/files.ts'
import { samePosition, isAfter } from '../../../../protocol/position.ts'
import type { Row } from '../../../../agent/database.ts'
import { changeOf, fileSink, folderIn, hashOf, placeAt, type Piece } from './line.ts'

export interface Scene {
  openScene: typeof openScene
  playScene: typeof playScene
}

const old = Buffer.alloc(2.5 * partBytes, 'old')
const fresh = Buffer.alloc(1.5 * partBytes, 'fresh')
const later = Buffer.alloc(1.2 * partBytes, 'later')

/** Every content that a file ever has, by its name. */
export const versions: Record<string, readonly (Buffer | string)[]> = {
  'big.tif': [old, fresh, later],
  'sub/a.pdf': ['a', 'a changed'],
  'sub/deep/b.pdf': ['b'],
  c: ['c'],
  'c/below.pdf': ['below'],
}

/** What lies in the folder at the end. */
export const end: Record<string, string> = { 'big.tif': hashOf(later), 'c/below.pdf': hashOf('below'), 'sub/a.pdf': hashOf('a changed') }

function rowsOf(name: string, content: Buffer | string): Row[] {
  const bytes = Buffer.from(content)
  const file = { name, parts: partsOf(bytes.length), size: bytes.length, modified: '2026-05-01T08:30:00Z', sha256: hashOf(bytes) }
  return Array.from({ length: file.parts }, (_, part) =>
    Object.values(partValues({ ...file, part }, bytes.subarray(part * partBytes, (part + 1) * partBytes))),
  )
}

const piece = (rows: Row[], deletes: Row[] = []): Piece => ({ rows, deletes, faults: [] })

interface Act {
  part: Part
  change: Change
}

function acts(): Act[] {
  const live = (seq: number, of: Piece): Act => ({ part: 'live', change: changeOf(of, seq === 1 ? null : placeAt(seq - 1), placeAt(seq)) })
  const shadow = (seq: number, of: Piece, last: boolean): Act => ({
    part: 'shadow',
    change: changeOf(of, seq === 5 ? null : placeAt(seq - 1), placeAt(seq), { began: placeAt(5), last }),
  })
  return [
    live(1, piece([...rowsOf('sub/a.pdf', 'a'), ...rowsOf('sub/deep/b.pdf', 'b'), ...rowsOf('big.tif', old).slice(0, 2)])),
    live(2, piece([...rowsOf('big.tif', old).slice(2), ...rowsOf('sub/a.pdf', 'a changed'), ...rowsOf('c', 'c')])),
    live(3, piece(rowsOf('big.tif', fresh), [['sub/deep/b.pdf', '0']])),
    live(
      4,
      piece(rowsOf('c/below.pdf', 'below'), [
        ['big.tif', '2'],
        ['c', '0'],
      ]),
    ), // a file makes room for a folder
    shadow(5, piece([...rowsOf('big.tif', later), ...rowsOf('sub/a.pdf', 'a changed')]), false),
    shadow(6, piece(rowsOf('c/below.pdf', 'below')), true),
  ]
}

export async function openScene(folder: string): Promise<FileSink> {
  const sink = new FileSink(fileSink, await folderIn(folder, 'target'))
  return sink
}

/** From where the sink stands to the end, as a route would. */
export async function playScene(sink: FileSink, _folder: string): Promise<void> {
  const { live, shadow } = await sink.open()
  let begun = shadow !== null
  const swapped = live.position !== null && isAfter(live.position, placeAt(4))
  if (swapped) return
  const at = { live: live.position, shadow: shadow?.position ?? null }
  for (const { part, change } of acts()) {
    if (part === 'shadow' && !begun) {
      await sink.beginShadow()
      begun = true
    }
    if (!samePosition(at[part], change.from)) continue
    await sink.apply(part, sink.prepare(change))
    at[part] = change.to
  }
  await sink.swap()
}
