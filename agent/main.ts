#!/usr/bin/env -S node --max-semi-space-size=8
import { runCommand } from './commands/command-line.ts'

process.exitCode = await runCommand(process.argv.slice(2), {
  env: process.env,
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
})
