import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { QianzhiError } from '../../protocol/errors.ts'
import { openPolicy } from '../../protocol/policy.ts'
import { fetchAuthority, HubClient } from '../hub/client.ts'
import { openKey, openState } from '../runtime/state.ts'
import type { Command } from './command.ts'
import { enrollCarried } from './enroll-carried.ts'
import { enrollBehindGap } from './enroll-gap.ts'
import { readToken } from './connect.ts'

/** Enrols this machine with the office's one-time token; the same token and key again give the same answer. */
export const enroll: Command = async (context) => {
  const { config, words, options, say } = context
  if (typeof options['gap'] === 'string') return enrollBehindGap(context, options['gap'])
  if (typeof options['carry'] === 'string') return enrollCarried(context, options['carry'])
  const token = readToken(words[0] ?? '')
  const urls = config.hub?.urls ?? token.urls
  const authority = await authorityOf(config.hub?.ca, urls, token.authority)
  const key = openKey(config.data)
  const hub = new HubClient({ urls, key, ca: authority, proxy: config.hub?.proxy, clock: () => new Date() })
  try {
    const name = String(options['name'] ?? hostname())
    const answer = await hub.enrol({ secret: token.secret, publicKey: key.publicKey, name })
    const policy = openPolicy(answer.policy, token.hubKey, answer.agent, 0)
    const state = openState(config.data)
    const { agent, agency } = answer
    const identity = { agent, agency, urls: token.urls, hubKey: token.hubKey, ...(authority ? { authority } : {}) }
    state.data = { ...state.data, identity, policy: { serial: policy.serial, jws: answer.policy } }
    state.write()
    say(
      `已登记：代理 ${agent}，机关单位 ${agency}。下一步：qianzhi-agent setup`,
      `Enrolled: agent ${agent} of agency ${agency}. Next: qianzhi-agent setup`,
    )
    return 0
  } finally {
    await hub.close()
  }
}

/** The configured authority, or the hub's own one if it is the one in the token; undefined where the certificate is publicly trusted. */
async function authorityOf(
  file: string | undefined,
  urls: readonly string[],
  fingerprint: string | undefined,
): Promise<string | undefined> {
  if (file) return readFileSync(file, 'utf8')
  if (!fingerprint) return undefined
  let failure: unknown
  for (const url of urls) {
    try {
      return await fetchAuthority(url, fingerprint)
    } catch (error) {
      if (error instanceof QianzhiError && error.code === 'QZ-HUB-CERTIFICATE') throw error
      failure = error
    }
  }
  throw failure
}
