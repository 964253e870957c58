import { callControl, noRunningAgent } from '../operator/control.ts'
import type { Paused } from '../operator/pauses.ts'
import type { Command, CommandDeps } from './command.ts'
import { requireName } from './resync.ts'

/** A source is not read and sends nothing, a route receives nothing, until `resume`; also over restarts. */
export const pause: Command = async (context) => {
  const name = requireName(context.words)
  const { source, sink } = await ask<Paused>(context, 'pause', name)
  if (source) context.say(`${name}：来源已暂停，变更继续排队`, `${name}: the source is paused, changes go on being queued`)
  if (sink) context.say(`${name}：落地已暂停`, `${name}: delivery is paused`)
  return 0
}

export const resume: Command = async (context) => {
  const name = requireName(context.words)
  const { source, sink } = await ask<Paused>(context, 'resume', name)
  if (source) context.say(`${name}：来源已恢复`, `${name}: the source goes on`)
  if (sink) context.say(`${name}：落地已恢复`, `${name}: delivery goes on`)
  return 0
}

/** The rows that are missing from a source table are meant to be gone: what the guard holds is sent. */
export const confirm: Command = async (context) => {
  const name = requireName(context.words)
  await ask(context, 'confirm', name)
  context.say(`${name}：已确认，删除将发送给接收方`, `${name}: confirmed, the deletes are sent to the receivers`)
  return 0
}

async function ask<T>({ config }: CommandDeps, call: string, name: string): Promise<T> {
  const done = await callControl(config.data, call, { name })
  if (!done) throw noRunningAgent()
  return done as T
}
