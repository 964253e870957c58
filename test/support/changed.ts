/** Which test files the changed files reach. */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import { importsOf, sources } from './imports.ts'

/** Where a change of these may show, nobody can say: everything runs. */
const everything = /^(package(-lock)?\.json|tsconfig.*\.json|\.ci\/.*|test\/support\/(run|test-file|lanes)\.ts)$/

/** Changed, added or deleted since `base` was left, in commits and in the working tree. */
export function changedFiles(base?: string): string[] {
  const since = git('merge-base', 'HEAD', base ?? mainBranch())[0]!
  return [...git('diff', '--name-only', '--no-renames', since), ...git('ls-files', '--others', '--exclude-standard')]
}

function mainBranch(): string {
  const found = git('for-each-ref', '--format=%(refname:short)', 'refs/remotes/origin/main', 'refs/heads/main')
  return found.find((name) => name === 'origin/main') ?? 'main'
}

function git(...words: string[]): string[] {
  return execFileSync('git', words, { encoding: 'utf8' }).split('\n').filter(Boolean)
}

/**
 * A file reaches what it imports, what imports that, and so on. A path in quotation marks (`'hub/main.ts'`, which a test starts as a program)
 * counts as an import. A file that is no source (a page, an example) is reached by those who write its name, and belongs to the sources of
 * its folder.
 */
export function reachedBy(changed: readonly string[], tests: readonly string[]): string[] {
  if (changed.some((file) => everything.test(file))) return [...tests]
  const all = ['agent', 'hub', 'protocol', 'config-examples', 'test'].flatMap(sources)
  const users = usersOf(all)
  const reached = new Set<string>()
  const reach = (file: string): void => {
    if (reached.has(file)) return
    reached.add(file)
    for (const user of users.get(file) ?? []) reach(user)
  }
  for (const file of changed) {
    reach(file)
    if (!all.includes(file)) for (const near of all.filter((one) => belongs(file, one))) reach(near)
  }
  return tests.filter((file) => reached.has(file))
}

function usersOf(all: readonly string[]): Map<string, string[]> {
  const users = new Map<string, string[]>()
  for (const from of all) {
    const quoted = Array.from(readFileSync(from, 'utf8').matchAll(/'([\w/-]+\.ts)'/g), (match) => match[1]!)
    for (const to of new Set([...importsOf(from).map((one) => one.to), ...quoted])) users.set(to, [...(users.get(to) ?? []), from])
  }
  return users
}

function belongs(file: string, source: string): boolean {
  return dirname(file) === dirname(source) || readFileSync(source, 'utf8').includes(basename(file))
}
