import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { codedError, QianzhiError, reasonOf, type Language } from '../../protocol/errors.ts'
import { same, type LocalizedText } from '../../protocol/localized.ts'
import { version } from '../../protocol/version.ts'
import { AdminClient } from './admin-client.ts'
import { auditCommands } from './audit.ts'
import type { Command, CommandDeps, Given, Option } from './command.ts'
import { officeCommands } from './office.ts'
import { operatorCommands } from './operator.ts'
import { defaults, loadConfig, type HubConfig } from '../config.ts'

const commands: readonly Command[] = [...operatorCommands, ...officeCommands, ...auditCommands]
const defaultConfig = 'qianzhi-hub.yaml'

const globalOptions: Record<string, Option> = {
  config: {
    type: 'string',
    value: 'FILE',
    text: { zh: `配置文件，默认 ./${defaultConfig}`, en: `configuration file, ./${defaultConfig} by default` },
  },
  lang: { type: 'string', value: 'zh|en', text: { zh: '语言', en: 'language' } },
  json: { type: 'boolean', text: { zh: '输出 JSON', en: 'print JSON' } },
  help: { type: 'boolean', text: { zh: '显示帮助', en: 'show help' } },
  version: { type: 'boolean', text: { zh: '显示版本', en: 'show the version' } },
}

/** What the command line needs of the process that it runs in. */
export interface Surroundings {
  env: NodeJS.ProcessEnv
  out: (text: string) => void
  err: (text: string) => void
}

/** Runs one command. @returns the exit code: 2 for what is wrong on the command line or in the configuration, 1 for what failed. */
export async function runCommand(argv: readonly string[], around: Surroundings): Promise<number> {
  let language = languageOf(undefined, around.env)
  try {
    const { words, given } = read(argv)
    language = languageOf(given['lang'], around.env)
    if (given['version']) {
      around.out(`${version}\n`)
      return 0
    }
    const command = commands.find(({ name }) => `${words.join(' ')} `.startsWith(`${name} `))
    if (given['help'] || words.length === 0) {
      around.out(`${command ? commandHelp(command, language) : help(language)}\n`)
      return 0
    }
    if (!command) throw invalid({ zh: `没有命令 ${words.join(' ')}`, en: `there is no command ${words.join(' ')}` })
    const args = words.slice(command.name.split(' ').length)
    check(command, args, given)
    return (await command.run(contextOf(given, language, around, command), args, given)) ?? 0
  } catch (error) {
    return report(codedError(error), language, argv.includes('--json'), around)
  }
}

function read(argv: readonly string[]): { words: string[]; given: Given } {
  const options = Object.assign({}, globalOptions, ...commands.map((command) => command.options ?? {})) as Record<string, Option>
  const plain = Object.fromEntries(Object.entries(options).map(([name, { type }]) => [name, { type }]))
  try {
    const { positionals, values } = parseArgs({
      args: [...argv],
      options: { ...plain, help: { type: 'boolean', short: 'h' } },
      allowPositionals: true,
    })
    return { words: positionals, given: values }
  } catch (error) {
    throw invalid(same(reasonOf(error)))
  }
}

function check(command: Command, args: readonly string[], given: Given): void {
  const foreign = Object.keys(given).find((name) => !(name in globalOptions) && !(name in (command.options ?? {})))
  if (foreign) throw invalid({ zh: `${command.name}：没有选项 --${foreign}`, en: `${command.name}: there is no option --${foreign}` })
  if (args.length === command.arguments.length) return
  throw invalid({ zh: `用法：${usage(command)}`, en: `usage: ${usage(command)}` })
}

function contextOf(given: Given, language: Language, { env, out, err }: Surroundings, { standalone }: Command): CommandDeps {
  const named = typeof given['config'] === 'string' ? given['config'] : undefined
  const config: HubConfig = standalone ? defaults() : loadConfig(named ?? defaultConfig, { optional: named === undefined, env })
  const absent = !standalone && named === undefined && !existsSync(defaultConfig)
  const spoken = given['lang'] === undefined ? (config.language ?? language) : language
  return {
    language: spoken,
    config,
    ...(absent && { absent: resolve(defaultConfig) }),
    api: new AdminClient(config),
    show: (value, text) => out(`${given['json'] ? JSON.stringify(value) : text}\n`),
    hint: (text) => err(`${text[spoken]}\n`),
  }
}

/** Chinese unless asked otherwise, or the terminal speaks English. */
function languageOf(asked: string | boolean | undefined, env: NodeJS.ProcessEnv): Language {
  if (asked === undefined) return (env['LC_ALL'] || env['LANG'] || '').startsWith('en') ? 'en' : 'zh'
  if (asked === 'zh' || asked === 'en') return asked
  throw invalid({ zh: `--lang 只能是 zh 或 en，不是 ${asked}`, en: `--lang is zh or en, not ${asked}` })
}

function help(language: Language): string {
  const title = { zh: '前置 Qianzhi 中心', en: 'The hub of Qianzhi 前置' }[language]
  const use = {
    zh: '用法：qianzhi-hub 命令 [参数] [选项]；各命令的选项见 qianzhi-hub 命令 --help',
    en: 'Usage: qianzhi-hub COMMAND [ARGUMENTS] [OPTIONS]; see qianzhi-hub COMMAND --help',
  }[language]
  const list = columns(commands.map((command) => [[command.name, ...command.arguments].join(' '), command.text[language]]))
  return [title, '', use, '', list, '', optionHelp(globalOptions, language)].join('\n')
}

function commandHelp(command: Command, language: Language): string {
  const parts = [usage(command), command.text[language], optionHelp({ ...command.options, ...globalOptions }, language)]
  return parts.join('\n\n')
}

function usage({ name, arguments: names, options }: Command): string {
  const optional = Object.entries(options ?? {}).map(([option, { value }]) => (value ? `[--${option} ${value}]` : `[--${option}]`))
  return ['qianzhi-hub', name, ...names, ...optional].join(' ')
}

function optionHelp(options: Record<string, Option>, language: Language): string {
  return columns(Object.entries(options).map(([name, { value, text }]) => [value ? `--${name} ${value}` : `--${name}`, text[language]]))
}

function columns(rows: readonly (readonly [string, string])[]): string {
  const widest = Math.max(...rows.map(([left]) => left.length))
  return rows.map(([left, right]) => `  ${left.padEnd(widest)}  ${right}`).join('\n')
}

function report(error: QianzhiError, language: Language, json: boolean, { err }: Surroundings): number {
  const text = error.text(language)
  err(json ? `${JSON.stringify({ code: error.code, text, details: error.details })}\n` : `${error.code}: ${text}\n`)
  if (error.code === 'QZ-INTERNAL' && error.cause instanceof Error) err(`${error.cause.stack}\n`)
  return error.code === 'QZ-REQUEST-INVALID' || error.code === 'QZ-CONFIG' ? 2 : 1
}

function invalid(reason: LocalizedText): QianzhiError {
  return new QianzhiError('QZ-REQUEST-INVALID', { reason })
}
