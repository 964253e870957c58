import { createReadStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { Compile } from 'typebox/compile'
import { CheckpointFile } from '../../protocol/checkpoint.ts'
import { QianzhiError, reasonOf } from '../../protocol/errors.ts'
import { verifyExport, type HeldCheckpoint, type Verified } from '../supervision/audit/verify.ts'
import { joinTexts, same, type LocalizedText } from '../../protocol/localized.ts'
import { shownTime } from '../../protocol/local-time.ts'
import type { Command, Given } from './command.ts'

/** The audit leaves the hub, and is verified anywhere. */
export const auditCommands: readonly Command[] = [
  {
    name: 'audit export',
    arguments: ['FILE'],
    options: {
      from: { type: 'string', value: 'SEQ', text: { zh: '自第几条起，默认第一条', en: 'first entry, the first of all by default' } },
      to: { type: 'string', value: 'SEQ', text: { zh: '至第几条止，默认最新一条', en: 'last entry, the newest by default' } },
    },
    text: { zh: '导出审计记录（每行一条，末行由中心签名）', en: 'export the audit (JSON lines, the last one signed by the hub)' },
    async run({ api, show }, [file], { from, to }) {
      const range = new URLSearchParams({ ...(from !== undefined && { from: String(from) }), ...(to !== undefined && { to: String(to) }) })
      const bytes = await api.download(`/admin/v1/audit/export?${range.toString()}`, file!)
      show({ file, bytes }, `${file}  ${bytes}`)
    },
  },
  {
    name: 'audit verify',
    arguments: ['FILE'],
    standalone: true,
    options: {
      checkpoints: {
        type: 'string',
        value: 'FILE',
        text: {
          zh: '各代理 qianzhi-agent audit --json 的输出（可多个合在一起）',
          en: 'what qianzhi-agent audit --json printed, of one agent or several one behind the other',
        },
      },
      'hub-key': {
        type: 'string',
        value: 'KEY',
        text: { zh: '中心公钥；默认取自检查点文件', en: "the hub's public key; by default the one in the checkpoints" },
      },
    },
    text: {
      zh: '核验审计导出：只需导出文件，不需要中心、配置或数据库（有问题时退出码为 1）',
      en: 'verify an export of the audit: needs the file only, no hub, configuration or store (exit code 1 where something is wrong)',
    },
    async run({ show, language }, [file], given) {
      const { checkpoints, hubKey } = await expected(given)
      const verified = await verifyExport(lines(file!), { checkpoints, hubKey })
      show(verified, report(verified)[language])
    },
  },
]

async function expected(given: Given): Promise<{ checkpoints: HeldCheckpoint[]; hubKey: string | undefined }> {
  const files = typeof given['checkpoints'] === 'string' ? await readCheckpoints(given['checkpoints']) : []
  const keys = new Set(files.map((file) => file.hubKey))
  const named = typeof given['hub-key'] === 'string' ? given['hub-key'] : undefined
  if (named !== undefined) keys.add(named)
  if (keys.size > 1)
    throw new QianzhiError('QZ-REQUEST-INVALID', {
      reason: { zh: `中心密钥不一致：${[...keys].join('、')}`, en: `hub keys differ: ${[...keys].join(', ')}` },
    })
  const checkpoints = files.flatMap(({ agent, checkpoints }) => checkpoints.map((checkpoint) => ({ ...checkpoint, agent })))
  return { checkpoints, hubKey: [...keys][0] }
}

const shape = Compile(CheckpointFile)

/** One JSON text, or one on each line. */
async function readCheckpoints(file: string): Promise<CheckpointFile[]> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw unreadable(file, same(reasonOf(error)), error)
  })
  const values = parsed(text) ?? text.split('\n').flatMap((line) => (line.trim() ? [parsed(line)] : []))
  return [values].flat().map((value) => {
    if (shape.Check(value)) return value
    throw unreadable(file, { zh: '不是 qianzhi-agent audit --json 的输出', en: 'not what qianzhi-agent audit --json prints' })
  })
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Far longer than any entry: keeps a file that is none from filling the memory. */
const longestLine = 64 << 20

/** The lines of a file as verifyExport takes them. */
async function* lines(file: string): AsyncGenerator<Buffer> {
  let rest: Buffer[] = []
  let held = 0
  try {
    for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>) {
      let from = 0
      for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, from)) {
        const line = chunk.subarray(from, end)
        yield rest.length > 0 ? Buffer.concat([...rest, line]) : line
        rest = []
        held = 0
        from = end + 1
      }
      if (from === chunk.length) continue
      rest.push(chunk.subarray(from))
      held += chunk.length - from
      if (held > longestLine) throw unreadable(file, { zh: '有一行过长', en: 'a line is too long' })
    }
  } catch (error) {
    throw error instanceof QianzhiError ? error : unreadable(file, same(reasonOf(error)), error)
  }
  if (rest.length > 0) yield Buffer.concat([...rest, Buffer.from('\n')])
}

function unreadable(file: string, why: LocalizedText, cause?: unknown): QianzhiError {
  return new QianzhiError('QZ-REQUEST-INVALID', { reason: joinTexts([file, why], ': ') }, { cause })
}

function report({ from, to, count, head, time, key, keyExpected, checkpoints }: Verified): LocalizedText {
  const { matched, later, outside } = checkpoints
  const unchecked = {
    zh: '未与已知的中心公钥核对（请用 --hub-key 或 --checkpoints）',
    en: 'not compared with a known hub key (name --hub-key or --checkpoints)',
  }
  return {
    zh: [
      `完好：第 ${from} 至 ${to} 条，共 ${count} 条；导出时审计共 ${head.seq} 条（${shownTime(time)}）`,
      `中心公钥 ${key}${keyExpected ? '' : `，${unchecked.zh}`}`,
      `检查点：相符 ${matched} 个，晚于导出 ${later} 个，不在导出范围 ${outside} 个`,
    ].join('\n'),
    en: [
      `Intact: entries ${from} to ${to}, ${count} in all; the audit held ${head.seq} when it was exported (${shownTime(time)})`,
      `Hub key ${key}${keyExpected ? '' : `, ${unchecked.en}`}`,
      `Checkpoints: ${matched} agree, ${later} are later than the export, ${outside} lie outside of it`,
    ].join('\n'),
  }
}
