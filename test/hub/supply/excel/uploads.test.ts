/** Uploads over the network: cut off, at once, refused before they are read. */
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { connect } from 'node:tls'
import t from 'tap'
import { UploadFolder } from '../../../../hub/jobs/files.ts'
import { apiPrefix } from '../../../../hub/http/registry.ts'
import { supplyBy } from '../../office.ts'
import { workbook, type Cell } from '../../../support/workbook.ts'
import { excelCity, header, path, xlsx, type ExcelCity } from './fixture.ts'

interface Line extends ExcelCity {
  port: number
  folder: string
}

async function open(test: Parameters<typeof excelCity>[0]): Promise<Line> {
  const excel = await excelCity(test)
  const folder = mkdtempSync(join(tmpdir(), 'qianzhi-uploads-'))
  test.teardown(() => rmSync(folder, { recursive: true, force: true }))
  excel.city.services.uploads = new UploadFolder(folder)
  await excel.city.app.listen({ host: '127.0.0.1', port: 0 })
  return { ...excel, folder, port: (excel.city.app.server.address() as AddressInfo).port }
}

/** Sends as much of a request as is given; what the server says to it. */
async function send(
  { port, registrar }: Line,
  file: Buffer,
  { end = file.length, secret = registrar.secret, chunked = false, cut = false } = {},
): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false })
  socket.on('error', () => {})
  await once(socket, 'secureConnect')
  const length = chunked ? 'transfer-encoding: chunked' : `content-length: ${file.length}`
  const lines = [
    `POST ${apiPrefix}${path}/check HTTP/1.1`,
    'host: hub.test',
    `authorization: Bearer ${secret}`,
    `content-type: ${xlsx}`,
    length,
    'connection: close',
  ]
  const written = (data: string | Buffer) => new Promise<void>((resolve) => socket.write(data, () => resolve()))
  await written(`${lines.join('\r\n')}\r\n\r\n`)
  let answer = ''
  socket.on('data', (data: Buffer) => (answer += data.toString('utf8')))
  const closed = once(socket, 'close')
  const part = file.subarray(0, end)
  const framed = chunked ? Buffer.concat([Buffer.from(`${part.length.toString(16)}\r\n`), part, Buffer.from('\r\n')]) : part
  if (part.length > 0) await written(framed)
  if (cut) socket.destroy()
  else if (chunked) socket.write('0\r\n\r\n')
  await closed
  return answer
}

const rows = (count: number, name = 'x'): Cell[][] =>
  Array.from({ length: count }, (_, i): Cell[] => [String(i), `${name}${i * 7919}`, null])

void t.test('an upload that is cut off leaves nothing', async (t) => {
  const line = await open(t)
  const file = workbook([header, ...rows(5000)])
  const answered = { count: 0 }
  line.city.app.server.on('request', (_request, response) => void response.once('close', () => answered.count++))
  for (let tenth = 0; tenth < 10; tenth++)
    await send(line, file, { end: Math.floor((file.length * tenth) / 10), chunked: tenth % 2 === 1, cut: true })
  while (answered.count < 10) await setImmediate()
  for (let left = 1; left > 0;) {
    await setImmediate()
    left = readdirSync(line.folder).length
  }
  t.same(await line.city.store.query('select from job'), [])
  t.same(await line.city.store.query('select from job_file'), [])
  t.match(await send(line, file), /^HTTP\/1\.1 200 .*"state":"queued"/s)
  t.match(await send(line, workbook([header, ...rows(3)]), { chunked: true }), /^HTTP\/1\.1 200 /)
  t.same(readdirSync(line.folder), [])
})

void t.test('many at once are each their own', async (t) => {
  const line = await open(t)
  const answers = await Promise.all(Array.from({ length: 9 }, (_, i) => send(line, workbook([header, ...rows(500, `n${i}`)]))))
  for (const answer of answers) t.match(answer, /^HTTP\/1\.1 200 /)
  await line.runner.settle()
  const jobs = await line.city.store.query<{ result: { created: number } }>('select result from job')
  t.same(
    jobs.map(({ result }) => result.created),
    Array(9).fill(500),
  )
  t.same(readdirSync(line.folder), [])
})

void t.test('who may not is refused before the body is read; what is too large while it is', async (t) => {
  const line = await open(t)
  const large = Buffer.alloc(51 << 20)
  t.match(await send(line, large, { end: 1, secret: line.city.as('water', 'registrar').secret }), /^HTTP\/1\.1 403 /)
  t.match(await send(line, large, { end: 1, secret: 'nobody' }), /^HTTP\/1\.1 401 /)
  await supplyBy(line.city, 'form')
  t.match(await send(line, large, { end: 1 }), /^HTTP\/1\.1 409 /)
  await supplyBy(line.city, 'excel')
  t.match(await send(line, large), /^HTTP\/1\.1 413 .*QZ-UPLOAD/s)
  t.same(readdirSync(line.folder), [])
})
