/** A TCP proxy between two programs under test, which can be told to misbehave as networks and firewalls do. */
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

export interface Proxy {
  readonly port: number
  /** Resets all connections and refuses new ones. */
  drop(): void
  /** Accepts and keeps connections, reads what comes in, and forwards nothing; a stalled connection stays dead after resume(). */
  stall(): void
  /** Forwards requests but no answers, and hides each side's end from the other: both believe the connection to be alive. */
  halfOpen(): void
  /** Forgets, without telling either side, every connection on which nothing has moved for so many milliseconds. */
  cutIdle(ms: number): void
  /** Back to plain forwarding; connections that lost bytes are reset. */
  resume(): void
  close(): Promise<void>
  /** Clients connected now. */
  connections(): number
}

/** One that is being ended cannot be reset: its handle would never close, and Node would spin for it when the process ends. */
function reset(socket: Socket): void {
  if (socket.writableEnded || socket.connecting) socket.destroy()
  else socket.resetAndDestroy()
}

type Mode = 'forward' | 'drop' | 'stall' | 'half-open'

interface Pair {
  readonly client: Socket
  readonly target: Socket
  lossy: boolean
  usedAt: number
}

export async function startProxy(target: { host: string; port: number }): Promise<Proxy> {
  const pairs = new Set<Pair>()
  let mode: Mode = 'forward'
  let idleMs: number | undefined

  const cut = (pair: Pair): void => {
    pairs.delete(pair)
    reset(pair.client)
    reset(pair.target)
  }
  const expired = (pair: Pair): boolean => idleMs !== undefined && performance.now() - pair.usedAt > idleMs

  /** Whether what comes from `from` is lost now. */
  const loses = (pair: Pair, from: Socket): boolean => {
    if (mode === 'stall' || (mode === 'half-open' && from === pair.target) || expired(pair)) pair.lossy = true
    else if (!pair.lossy) pair.usedAt = performance.now()
    return pair.lossy && !(mode === 'half-open' && from === pair.client)
  }

  const forward = (pair: Pair, from: Socket, to: Socket): void => {
    from.on('data', (chunk: Buffer) => {
      if (loses(pair, from) || to.destroyed || to.writableEnded) return
      if (!to.write(chunk)) {
        from.pause()
        to.once('drain', () => from.resume())
      }
    })
    const hides = (): boolean => mode === 'stall' || mode === 'half-open' || pair.lossy
    from.on('end', () => {
      if (!hides()) to.end()
    })
    from.on('error', () => {})
    from.on('close', () => {
      if (!hides()) to.destroy()
      if (pair.client.destroyed && pair.target.destroyed) pairs.delete(pair)
    })
  }

  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    if (mode === 'drop') return void client.resetAndDestroy()
    const pair: Pair = {
      client,
      target: connect({ ...target, allowHalfOpen: true, noDelay: true }),
      lossy: false,
      usedAt: performance.now(),
    }
    pairs.add(pair)
    forward(pair, client, pair.target)
    forward(pair, pair.target, client)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo

  return {
    port,
    drop: () => {
      mode = 'drop'
      for (const pair of pairs) cut(pair)
    },
    stall: () => void (mode = 'stall'),
    halfOpen: () => void (mode = 'half-open'),
    cutIdle: (ms) => void (idleMs = ms),
    resume: () => {
      mode = 'forward'
      idleMs = undefined
      for (const pair of pairs) if (pair.lossy || pair.client.destroyed || pair.target.destroyed) cut(pair)
    },
    close: async () => {
      for (const pair of pairs) cut(pair)
      if (!server.listening) return
      server.close()
      await once(server, 'close')
    },
    connections: () => [...pairs].filter((pair) => !pair.client.destroyed).length,
  }
}
