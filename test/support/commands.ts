/** Commands of hub and agent in the test's own process: the same command line, and no program to start. */
import type { Finished } from './programs.ts'

const programs = {
  'hub/main.ts': () => import('../../hub/commands/command-line.ts'),
  'agent/main.ts': () => import('../../agent/commands/command-line.ts'),
}

/** As `runProgram`, which starts a program: throws where the command does not end with 0, unless `failing`. */
export async function runHere(
  [program, ...words]: [keyof typeof programs, ...string[]],
  options: { failing?: boolean; env?: NodeJS.ProcessEnv } = {},
): Promise<Finished> {
  const { runCommand } = await programs[program]()
  const output = { stdout: '', stderr: '' }
  const code = await runCommand(words, {
    env: { ...process.env, ...options.env },
    out: (text) => void (output.stdout += text),
    err: (text) => void (output.stderr += text),
  })
  if (code !== 0 && !options.failing) throw new Error(`${program} ${words.join(' ')} ended with ${code}: ${output.stderr}${output.stdout}`)
  return { code, ...output }
}
