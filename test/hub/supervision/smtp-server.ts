/** A mail server (RFC 5321) that does to each recipient what a test wants. */
import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { createInterface } from 'node:readline'

/** `vanish`: takes the message, and the connection is gone before the answer. */
export type Conduct = 'accept' | 'refuse' | 'later' | 'vanish'

export interface Received {
  to: string
  text: string
}

export interface SmtpServer {
  port: number
  /** Messages that were taken, those whose answer was lost included. */
  received: Received[]
  /** What clients logged in with. */
  logins: string[]
  conduct: Map<string, Conduct>
  /** Of the sender's own address. */
  sender: Conduct
  stop(): Promise<void>
}

/** Listens on a free port, or on a given one. */
export async function startSmtp({ auth = false, port = 0 } = {}): Promise<SmtpServer> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => {})
    void converse(socket, smtp, auth)
  })
  const smtp: SmtpServer = {
    port,
    received: [],
    logins: [],
    conduct: new Map(),
    sender: 'accept',
    async stop() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  smtp.port = (server.address() as AddressInfo).port
  return smtp
}

const answers: Record<Conduct, string> = { accept: '250 ok', vanish: '250 ok', refuse: '550 no such mailbox', later: '451 try later' }

async function converse(socket: Socket, smtp: SmtpServer, auth: boolean): Promise<void> {
  const say = (line: string) => socket.write(`${line}\r\n`)
  let to = ''
  let data: string[] | undefined
  say('220 test')
  for await (const line of createInterface({ input: socket, crlfDelay: Infinity })) {
    if (data) {
      if (line !== '.') data.push(line)
      else {
        smtp.received.push({ to, text: data.join('\n') })
        data = undefined
        if (smtp.conduct.get(to) === 'vanish') socket.destroy()
        else say('250 taken')
      }
    } else if (/^EHLO/i.test(line)) say(auth ? '250-test\r\n250 AUTH PLAIN' : '250 test')
    else if (/^AUTH PLAIN /i.test(line)) {
      smtp.logins.push(Buffer.from(line.slice(11), 'base64').toString().replaceAll('\0', ' ').trim())
      say('235 welcome')
    } else if (/^MAIL FROM:/i.test(line)) say(answers[smtp.sender])
    else if (/^RCPT TO:/i.test(line)) {
      to = /<(.*)>/.exec(line)![1]!
      say(answers[smtp.conduct.get(to) ?? 'accept'])
    } else if (/^DATA/i.test(line)) {
      data = []
      say('354 go on')
    } else if (/^QUIT/i.test(line)) {
      say('221 bye')
      socket.end()
    } else say('250 ok')
  }
}
