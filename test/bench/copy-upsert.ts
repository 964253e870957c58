/** The ceiling: one pipe that copies a table into a stage and upserts from it. */
import { pipeline } from 'node:stream/promises'
import pg from 'pg'
import { from as copyFrom, to as copyTo } from 'pg-copy-streams'

export async function copyAndUpsert(sourceUrl: string, targetUrl: string, table: string, columns: readonly string[]): Promise<void> {
  const [source, target] = [new pg.Client(sourceUrl), new pg.Client(targetUrl)]
  await Promise.all([source.connect(), target.connect()])
  try {
    await target.query(`create temporary table stage (like ${table})`)
    await pipeline(source.query(copyTo(`copy ${table} to stdout`)), target.query(copyFrom('copy stage from stdin')))
    const updates = columns.slice(1).map((column) => `${column} = excluded.${column}`)
    await target.query(`insert into ${table} select * from stage on conflict (${columns[0]}) do update set ${updates.join(', ')}`)
  } finally {
    await Promise.all([source.end(), target.end()])
  }
}
