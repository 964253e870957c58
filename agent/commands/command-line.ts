import { existsSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { codedError, QianzhiError, type Language } from '../../protocol/errors.ts'
import { version } from '../../protocol/version.ts'
import type { Command } from './command.ts'
import { readAgentConfig, readPlaces, type AgentConfig } from '../config/config.ts'

const commands: Record<string, () => Promise<Command>> = {
  enroll: async () => (await import('./enroll.ts')).enroll,
  setup: async () => (await import('./setup.ts')).setup,
  teardown: async () => (await import('./setup.ts')).teardown,
  start: async () => (await import('./start.ts')).start,
  status: async () => (await import('./status.ts')).status,
  doctor: async () => (await import('./doctor.ts')).doctor,
  audit: async () => (await import('./audit.ts')).audit,
  quarantine: async () => (await import('./quarantine.ts')).quarantine,
  replay: async () => (await import('./quarantine.ts')).replay,
  reconcile: async () => (await import('./reconcile.ts')).reconcile,
  export: async () => (await import('./gaps.ts')).exportCommand,
  'trust-gap': async () => (await import('./gaps.ts')).trustGap,
  resync: async () => (await import('./resync.ts')).resync,
  scan: async () => (await import('./resync.ts')).scan,
  trust: async () => (await import('./resync.ts')).trust,
  pause: async () => (await import('./pause.ts')).pause,
  resume: async () => (await import('./pause.ts')).resume,
  confirm: async () => (await import('./pause.ts')).confirm,
  verify: async () => (await import('./verify.ts')).verify,
}

const help = {
  zh: `qianzhi-agent ${version}：前置机代理

用法：qianzhi-agent 命令 [参数] [选项]

  enroll 令牌             用市电子政务办发放的一次性令牌登记本机（--name 名称）
  enroll --gap 目录       在网闸内侧登记本机：目录中有外侧代理的 gap.json
  enroll --carry 目录名 令牌  为网闸内侧的提供方代理向中心登记（其 inner.json 已到）
  setup [资源…]           在来源库建立采集（触发器、队列）；--print 只输出给 DBA 的脚本；
                          --create-table 按已登记资源建供数表；--url 用 DBA 账号；--user 运行账号
  teardown [资源…]        拆除采集（--print 只输出脚本）
  start                   运行代理
  status                  各来源、落地表的状态
  doctor                  检查运行所需的一切，并给出处理办法
  audit                   本机保存的中心审计检查点（每日最后一个），供核验中心审计
  reconcile 资源|路由     与对端对账，显示进度和结果（--repair 重发不一致的行，--no-repair 只比对）
  resync 资源|路由        重新快照（来源）或重新填充落地表
  quarantine [资源|路由]  列出隔离区：未能发送（来源）或未能落地（落地表）的行的主键与原因
  replay 资源|路由        排除原因后重试隔离区：重新发送（来源）或重新写入（落地表）
  scan 资源               立即扫描（capture: watermark、compare 的来源）
  trust 资源              接受提供方更换的密钥
  pause 资源|路由         暂停：来源不再读取和发送（变更继续排队），落地不再接收；重启后仍然有效
  resume 资源|路由        恢复
  confirm 资源            确认大批删除属实，发送给接收方
  verify 文件             核验写入目录的文件：内容、写入代理与提供方的签名（--key 公钥[,公钥] 另给密钥）
  export 路由 [期[-批[..批]]…]  把网闸丢失的批次再次写入目录（不写范围：内侧尚未确认的全部）
  trust-gap 目录名 [指纹] 显示网闸内侧代理的密钥指纹；核对无误后带指纹再执行一次，即接受其回执

选项：
  --config 文件           配置文件（默认 ./qianzhi-agent.yaml）
  --lang zh|en            语言（默认中文；LANG 以 en 开头时为英文）
  --json                  status、doctor、audit、quarantine、reconcile 输出 JSON
  --help, --version`,
  en: `qianzhi-agent ${version}: the agent of a front-end machine

Usage: qianzhi-agent COMMAND [ARGUMENTS] [OPTIONS]

  enroll TOKEN            enrols this machine with the office's one-time token (--name NAME)
  enroll --gap FOLDER     enrols this machine behind a one-way gap: gap.json of the agent outside lies in the folder
  enroll --carry FOLDER TOKEN  enrols an agent that supplies from inside a gap; its inner.json has arrived
  setup [RESOURCE…]       makes capture (triggers, queue) in the source database; --print gives the DBA's script;
                          --create-table makes the supply table of the registered resource; --url the DBA's account;
                          --user the account of the running agent
  teardown [RESOURCE…]    removes capture (--print gives the script)
  start                   runs the agent
  status                  the state of each source and delivered table
  doctor                  checks everything that running needs, and names the remedy
  audit                   the checkpoints of the hub's audit that this agent holds (the last of each day), to verify it with
  reconcile RESOURCE|ROUTE  compares with the other side, and shows how it goes (--repair sends differing rows again,
                          --no-repair only compares)
  resync RESOURCE|ROUTE   takes a new snapshot (source), or fills the delivered table anew
  quarantine [RESOURCE|ROUTE]  lists keys whose rows could not be sent (source) or applied (delivered table), and why
  replay RESOURCE|ROUTE   tries the quarantine again when its cause is put right: sends the rows anew, or applies them
  scan RESOURCE           scans a source of capture: watermark or compare now
  trust RESOURCE          accepts a provider's new key
  pause RESOURCE|ROUTE    nothing is read and sent (changes go on being queued), or received; also after a restart
  resume RESOURCE|ROUTE   goes on
  confirm RESOURCE        the many deletes that wait are meant: sends them to the receivers
  verify FILE             checks a file written into a folder: its content, the writing agent's and the provider's signatures
                          (--key KEY[,KEY] gives further public keys)
  export ROUTE [EPOCH[-SEQ[..SEQ]]…]  writes batches that a one-way gap lost into its folder again (without a range: all
                          that the inside has not confirmed)
  trust-gap FOLDER [FINGERPRINT]  shows the fingerprint of the key of the agent behind a gap; with it, accepts its receipts

Options:
  --config FILE           configuration (default ./qianzhi-agent.yaml)
  --lang zh|en            language (Chinese unless LANG begins with en)
  --json                  status, doctor, audit, quarantine and reconcile print JSON
  --help, --version`,
}

const options = {
  config: { type: 'string', default: 'qianzhi-agent.yaml' },
  lang: { type: 'string' },
  json: { type: 'boolean' },
  print: { type: 'boolean' },
  'create-table': { type: 'boolean' },
  url: { type: 'string' },
  user: { type: 'string' },
  name: { type: 'string' },
  key: { type: 'string' },
  gap: { type: 'string' },
  carry: { type: 'string' },
  repair: { type: 'boolean' },
  'no-repair': { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean' },
} as const

/** What the help says of one command, and of the options. */
function commandHelp(name: string, language: Language): string {
  const lines = help[language].split('\n')
  const about: string[] = []
  let its = false
  for (const line of lines) {
    if (/^ {2}\S/.test(line)) its = line.slice(2).split(/[ []/)[0] === name
    else if (!/^ {3}/.test(line)) its = false
    if (its) about.push(line)
  }
  const options = lines.slice(lines.findIndex((line) => /^(选项：|Options:)$/.test(line)))
  return [`qianzhi-agent ${name}`, '', ...about, '', ...options].join('\n')
}

/** Keys and their fingerprints may begin with a dash: they are values of options, and arguments, all the same. */
const keyForm = /^-[\w-]{40,}$/

/** The words with each option's value joined to it, and arguments behind `--`. */
function sorted(words: readonly string[]): string[] {
  const given: string[] = []
  const rest: string[] = []
  for (let at = 0; at < words.length; at++) {
    const word = words[at]!
    const option = Object.entries(options).find(([name]) => word === `--${name}`)?.[1]
    if (option?.type === 'string' && at + 1 < words.length) given.push(`${word}=${words[++at]}`)
    else if (word.startsWith('-') && !keyForm.test(word)) given.push(word)
    else rest.push(word)
  }
  return [...given, '--', ...rest]
}

/** What the command line needs of the process that it runs in. */
export interface Surroundings {
  env: NodeJS.ProcessEnv
  out: (text: string) => void
  err: (text: string) => void
}

/** Runs one command. @returns the exit code. */
export async function runCommand(argv: readonly string[], { env, out, err }: Surroundings): Promise<number> {
  const say = (line: string): number => {
    out(`${line}\n`)
    return 0
  }
  let language = languageOf(undefined, env)
  try {
    const { values, positionals } = parseArgs({ args: sorted(argv), options, allowPositionals: true })
    language = languageOf(values.lang, env)
    const [name, ...words] = positionals
    if (values.version) return say(version)
    if (!name) return say(help[language])
    const command = commands[name]
    if (values.help) return say(command ? commandHelp(name, language) : help[language])
    if (!command) throw new QianzhiError('QZ-NOT-FOUND', { what: name })
    const { config, fault } = readFor(name, values.config)
    if (fault) complain(fault, config.language ?? language, err)
    if (!values.lang && config.language) language = config.language
    const chosen = language
    const context = {
      config,
      language,
      version,
      words,
      options: values,
      print: (line: string) => void say(line),
      say: (zh: string, en: string) => void say(chosen === 'zh' ? zh : en),
    }
    const code = await (await command())(context)
    return fault ? 1 : code
  } catch (error) {
    return complain(error, language, err)
  }
}

/** With a file that is at fault the state of the agent that runs on the one before can be asked for all the same. Throws QZ-CONFIG. */
function readFor(command: string, file: string): { config: AgentConfig; fault?: unknown } {
  try {
    return { config: readAgentConfig(file) }
  } catch (fault) {
    if (command !== 'status' || !existsSync(file)) throw fault
    return { config: readPlaces(file), fault }
  }
}

function complain(error: unknown, language: Language, err: Surroundings['err']): number {
  const usage = error instanceof TypeError && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS')
  const coded = usage ? new QianzhiError('QZ-CONFIG', { key: 'argument', reason: error.message }) : codedError(error)
  err(`${coded.code} ${coded.text(language)}\n`)
  if (coded.code === 'QZ-INTERNAL' && coded.cause instanceof Error) err(`${coded.cause.stack}\n`)
  return 1
}

function languageOf(option: string | undefined, env: NodeJS.ProcessEnv): Language {
  if (option === 'en' || option === 'zh') return option
  return env['LANG']?.startsWith('en') ? 'en' : 'zh'
}
