/** A zip archive (PKWARE APPNOTE 6.3.9) piece by piece: each file is packed as it comes, its size and checksum stand behind it. */
import { pipeline, Readable } from 'node:stream'
import { crc32, createDeflateRaw } from 'node:zlib'

export interface PackedFile {
  name: string
  chunks: AsyncIterable<Buffer>
}

/** Sizes follow the data; names are UTF-8. */
const flags = 0x0808
const [version, deflated] = [20, 8]
/** 1 January 1980, the first day that the format knows: what is packed alike is the same bytes. */
const [time, day] = [0, 0x21]

/** Files of less than 4 GiB, fewer than 65,536 of them. */
export async function* zipOf(files: AsyncIterable<PackedFile>): AsyncGenerator<Buffer> {
  const directory: Buffer[] = []
  let at = 0
  for await (const { name, chunks } of files) {
    const begins = at
    const header = Buffer.concat([
      numbers('4 2 2 2 2 2 4 4 4 2 2', 0x04034b50, version, flags, deflated, time, day, 0, 0, 0, Buffer.byteLength(name), 0),
      Buffer.from(name),
    ])
    yield header
    at += header.length
    const packed = { checksum: 0, size: 0, packedSize: 0 }
    for await (const chunk of packing(chunks, packed)) {
      packed.packedSize += chunk.length
      at += chunk.length
      yield chunk
    }
    const { checksum, size, packedSize } = packed
    const behind = numbers('4 4 4 4', 0x08074b50, checksum, packedSize, size)
    yield behind
    at += behind.length
    const entry = [
      0x02014b50,
      version,
      version,
      flags,
      deflated,
      time,
      day,
      checksum,
      packedSize,
      size,
      Buffer.byteLength(name),
      0,
      0,
      0,
      0,
      0,
      begins,
    ]
    directory.push(numbers('4 2 2 2 2 2 2 4 4 4 2 2 2 2 2 4 4', ...entry), Buffer.from(name))
  }
  const entries = Buffer.concat(directory)
  const count = directory.length / 2
  yield Buffer.concat([entries, numbers('4 2 2 2 2 4 4 2', 0x06054b50, 0, 0, count, count, entries.length, at, 0)])
}

function packing(chunks: AsyncIterable<Buffer>, packed: { checksum: number; size: number }): AsyncIterable<Buffer> {
  async function* counted() {
    for await (const chunk of chunks) {
      packed.checksum = crc32(chunk, packed.checksum)
      packed.size += chunk.length
      yield chunk
    }
  }
  const deflate = createDeflateRaw()
  // What fails in it is told to whoever reads what comes of it.
  pipeline(Readable.from(counted()), deflate, () => {})
  return deflate as AsyncIterable<Buffer>
}

/** Little-endian, of these numbers of bytes. */
function numbers(widths: string, ...values: number[]): Buffer {
  const sizes = widths.split(' ').map(Number)
  const bytes = Buffer.alloc(sizes.reduce((sum, size) => sum + size, 0))
  let at = 0
  for (const [i, size] of sizes.entries()) at = bytes.writeUIntLE(values[i]!, at, size)
  return bytes
}
