import { createHash } from 'node:crypto'
import { lstat } from 'node:fs/promises'
import { extname, join } from 'node:path'

/** Bytes that a file's name may have on every file system. */
const longestName = 255

/** `NUMBER@RESOURCE@NAME`, the name cut where it would be too long. */
export function doneName(number: number, resource: string, name: string): string {
  return fitting(`${String(number).padStart(8, '0')}@${resource}@`, name, '')
}

/** The number of a file of this resource in `done/`; 0 for any other. */
export function doneNumber(name: string, resource: string): number {
  const digits = /^\d{8,15}(?=@)/.exec(name)?.[0]
  return digits !== undefined && name.startsWith(`${digits}@${resource}@`) ? Number(digits) : 0
}

/** A name with another ending behind it. */
export function fittingName(name: string, ending: string): string {
  return fitting('', name, ending)
}

function fitting(before: string, name: string, after: string): string {
  const whole = before + name + after
  if (Buffer.byteLength(whole) <= longestName) return whole
  const mark = `~${createHash('sha256').update(name).digest('hex').slice(0, 8)}`
  const ending = extname(name).length <= 12 ? extname(name) : ''
  const room = longestName - Buffer.byteLength(before + mark + ending + after)
  let kept = ''
  let bytes = 0
  for (const character of name.slice(0, name.length - ending.length)) {
    bytes += Buffer.byteLength(character)
    if (bytes > room) break
    kept += character
  }
  return before + kept + mark + ending + after
}

/** The name, or one with a number in it where the folder has it already. Room for a report's ending is left. */
export async function freeName(folder: string, name: string): Promise<string> {
  const ending = extname(name).length <= 12 ? extname(name) : ''
  const stem = name.slice(0, name.length - ending.length)
  for (let n = 1; ; n++) {
    const tried = fitting('', n === 1 ? name : `${stem}.${n}${ending}`, '')
    if (!(await exists(join(folder, tried)))) return tried
  }
}

async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  )
}
