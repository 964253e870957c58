#!/usr/bin/env -S node --max-semi-space-size=8
import { enableCompileCache } from 'node:module'
import { fileURLToPath } from 'node:url'

// Beside the programs, where it can be written: what is compiled is not compiled again, and less of it is kept in memory.
enableCompileCache(fileURLToPath(new URL('../.compile-cache', import.meta.url)))
const { runCommand } = await import('./commands/command-line.ts')

// Who reads may have read enough: the program goes on.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
  })
}

process.exitCode = await runCommand(process.argv.slice(2), {
  env: process.env,
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
})
