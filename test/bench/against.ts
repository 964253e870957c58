/** Figures of a run beside those of an earlier one, kept by `--json`: what became dearer by more than a tenth. */

/** How much dearer a figure may be before it is told. */
const tolerance = 1.1
const perRow = /^usPerRowOf(Inserts|Updates|Deletes)/

/**
 * Lines on the processor time of a row, of each part, dearer ones first. Machines differ from run to run: an earlier figure is taken by as much
 * more as logical replication took for the same rows in both runs.
 */
export function against(before: Readonly<Record<string, number>>, now: Readonly<Record<string, number>>): string[] {
  const lines = Object.keys(now).flatMap((name) => {
    const kind = perRow.exec(name)?.[1]
    const [was, is] = [before[name], now[name]!]
    if (kind === undefined || name.includes('LogicalReplication') || was === undefined || was === 0) return []
    const ratio = is / (was * scaleOf(kind, before, now))
    return [{ ratio, line: `${ratio > tolerance ? 'DEARER' : '      '} ${ratio.toFixed(2)} × ${name}: ${was} → ${is} µs` }]
  })
  return lines.toSorted((a, b) => b.ratio - a.ratio).map(({ line }) => line)
}

function scaleOf(kind: string, before: Readonly<Record<string, number>>, now: Readonly<Record<string, number>>): number {
  const name = `usPerRowOf${kind}LogicalReplicationSum`
  const [was, is] = [before[name], now[name]]
  return was && is ? is / was : 1
}
