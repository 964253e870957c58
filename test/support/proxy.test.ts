import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { startProxy } from './proxy.ts'

/** Answers what it gets, and notes what it got. */
async function startEcho(t: Test) {
  const received: string[] = []
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('data', (chunk: Buffer) => {
      received.push(chunk.toString())
      socket.write(chunk)
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const proxy = await startProxy({ host: '127.0.0.1', port: (server.address() as AddressInfo).port })
  t.teardown(async () => {
    await proxy.close()
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return { proxy, received }
}

async function open(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  await once(socket, 'connect')
  return socket
}

function closing(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.once('close', () => resolve()))
}

async function ask(socket: Socket, text: string, withinMs = 2_000): Promise<string | undefined> {
  const answer = once(socket, 'data', { signal: AbortSignal.timeout(withinMs) }).catch(() => [])
  socket.write(text)
  return (await answer)[0]?.toString() as string | undefined
}

t.test('forwards, drops and resumes', async (t) => {
  const { proxy } = await startEcho(t)
  const first = await open(proxy.port)
  t.equal(await ask(first, 'one'), 'one')
  t.equal(proxy.connections(), 1)
  const closed = closing(first)
  proxy.drop()
  await closed
  t.equal(proxy.connections(), 0)
  const refused = connect(proxy.port, '127.0.0.1').on('error', () => {})
  await closing(refused)
  proxy.resume()
  t.equal(await ask(await open(proxy.port), 'two'), 'two')
})

t.test('stalls: accepts, and forwards nothing', async (t) => {
  const { proxy, received } = await startEcho(t)
  proxy.stall()
  const socket = await open(proxy.port)
  t.equal(await ask(socket, 'lost', 100), undefined)
  t.same(received, [])
  t.notOk(socket.destroyed)
  const closed = closing(socket)
  proxy.resume()
  await closed
})

t.test('half-open: the request arrives, the answer does not, the end is hidden', async (t) => {
  const { proxy, received } = await startEcho(t)
  const socket = await open(proxy.port)
  t.equal(await ask(socket, 'one'), 'one')
  proxy.halfOpen()
  t.equal(await ask(socket, 'two', 100), undefined)
  t.same(received, ['one', 'two'])
  t.notOk(socket.destroyed)
})

t.test('forgets idle connections silently', async (t) => {
  const { proxy, received } = await startEcho(t)
  proxy.cutIdle(50)
  const socket = await open(proxy.port)
  t.equal(await ask(socket, 'one'), 'one')
  await sleep(120)
  t.equal(await ask(socket, 'two', 100), undefined)
  t.same(received, ['one'])
  t.equal(await ask(await open(proxy.port), 'three'), 'three')
})
