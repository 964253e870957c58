/** Which files run beside which: the long ones first, and those that mostly wait beside those that keep a processor busy. */
import { availableParallelism } from 'node:os'

/** Mostly wait, for time-outs and for programs to start again; longest first. */
export const waiting: readonly string[] = [
  'test/faults/restore.test.ts',
  'test/console/walk.test.ts',
  'test/faults/network.test.ts',
  'test/faults/policy.test.ts',
  'test/faults/network-database.test.ts',
  'test/flow/registry.test.ts',
  'test/flow/console-live.test.ts',
  'test/console/operating.test.ts',
  'test/console/papers.test.ts',
  'test/console/finding.test.ts',
  'test/console/buttons.test.ts',
  'test/faults/drift.test.ts',
  'test/faults/crash.test.ts',
  'test/faults/move.test.ts',
  'test/agent/injected-faults.test.ts',
  'test/flow/start.test.ts',
  'test/flow/pause.test.ts',
  'test/flow/ended.test.ts',
  'test/faults/source.test.ts',
  'test/flow/gap.test.ts',
  'test/console/supply.test.ts',
  'test/faults/registry.test.ts',
  'test/flow/values.test.ts',
  'test/flow/folders.test.ts',
  'test/flow/refused-files.test.ts',
  'test/flow/status-page.test.ts',
  'test/flow/configuration.test.ts',
  'test/console/help.test.ts',
  'test/console/registering.test.ts',
  'test/console/wall.test.ts',
  'test/agent/start.test.ts',
  'test/agent/gaps/hub.test.ts',
  'test/flow/gap-provider.test.ts',
  'test/flow/snapshot-window.test.ts',
  'test/flow/forms.test.ts',
]

/** The longest of the others, longest first. */
export const busy: readonly string[] = [
  'test/model/sharing.test.ts',
  'test/hub/http/races.test.ts',
  'test/hub/http/inputs.test.ts',
  'test/agent/databases/postgres/engine.test.ts',
  'test/agent/databases/mysql/mariadb.test.ts',
  'test/agent/databases/mysql/mysql.test.ts',
  'test/agent/databases/sqlite/engine.test.ts',
  'test/flow/reconcile.test.ts',
  'test/flow/real-run.test.ts',
  'test/hub/reconciliation/runner.test.ts',
  'test/hub/http/list-file.test.ts',
  'test/hub/hub.test.ts',
  'test/faults/reload.test.ts',
  'test/agent/folders/rows/sink-crash.test.ts',
  'test/hub/store/embedded.test.ts',
  'test/hub/registry/workflows.test.ts',
  'test/flow/any-files.test.ts',
  'test/flow/versions.test.ts',
  'test/flow/operate.test.ts',
  'test/faults/tamper.test.ts',
  'test/hub/http/routes.test.ts',
]

/** They change their process, or look at how it ends: nobody shares it with them. */
const alone: readonly string[] = []
/** Files of one process: enough that reading what they import is little beside them, few enough that both processors are kept busy. */
const most = 12

export interface Lane {
  /** Files that share a process stand together. */
  readonly turns: readonly (readonly string[])[]
  readonly jobs: number
}

/** The lanes in which these files run at once. */
export function lanes(files: readonly string[], jobs?: number): [waiting: Lane, busy: Lane] {
  const known = new Set([...waiting, ...busy, ...alone])
  const within = new Set(files)
  const single = (names: readonly string[]) => names.filter((name) => within.has(name)).map((name) => [name])
  return [
    { turns: single(waiting), jobs: jobs ?? 3 },
    {
      turns: [...single(busy), ...shared(files.filter((file) => !known.has(file))), ...single(alone)],
      jobs: jobs ?? availableParallelism(),
    },
  ]
}

/** Neighbours share most of what they import. */
function shared(files: readonly string[]): string[][] {
  const turns = Math.ceil(files.length / most)
  return Array.from({ length: turns }, (_, i) =>
    files.slice(Math.floor((i * files.length) / turns), Math.floor(((i + 1) * files.length) / turns)),
  )
}
