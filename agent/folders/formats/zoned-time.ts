/** Portable moments (UTC) as a zone's clock shows them, with the offset behind: `2026-11-22T08:30:00+08:00`. */
export function zonedWriter(timezone: string): (value: string) => string {
  const format = new Intl.DateTimeFormat('en-US', { timeZone: timezone, timeZoneName: 'longOffset', year: 'numeric' })
  /** Minutes east of Greenwich by hour since 1970; offsets change at full hours of UTC or at their quarters, never within a quarter. */
  const offsets = new Map<number, number | undefined>()
  const offsetAt = (ms: number): number | undefined => {
    const quarter = Math.floor(ms / 900_000)
    if (!offsets.has(quarter)) {
      if (offsets.size > 50_000) offsets.clear()
      offsets.set(quarter, offsetMinutes(format, quarter * 900_000))
    }
    return offsets.get(quarter)
  }
  return (value) => {
    const ms = Date.parse(`${value.slice(0, 19)}Z`)
    const offset = Number.isNaN(ms) ? undefined : offsetAt(ms)
    if (offset === undefined) return value
    const local = new Date(ms + offset * 60_000).toISOString()
    // The first and the last day of the portable years may fall out of them.
    if (local.length !== 24 || local.startsWith('0000')) return value
    return `${local.slice(0, 19)}${value.slice(19, -1)}${offsetText(offset)}`
  }
}

/** Undefined where the offset is no whole number of minutes, as those of before 1900 are. */
function offsetMinutes(format: Intl.DateTimeFormat, ms: number): number | undefined {
  const name = format.formatToParts(ms).find(({ type }) => type === 'timeZoneName')!.value
  const parts = /^GMT(?:([+-])(\d\d):(\d\d)(:\d\d)?)?$/.exec(name)
  if (!parts || parts[4]) return undefined
  const minutes = Number(parts[2] ?? 0) * 60 + Number(parts[3] ?? 0)
  return parts[1] === '-' ? -minutes : minutes
}

function offsetText(offset: number): string {
  const [hours, minutes] = [Math.floor(Math.abs(offset) / 60), Math.abs(offset) % 60]
  return `${offset < 0 ? '-' : '+'}${String(hours).padStart(2, '0')}:${String(minutes).padStart(2, '0')}`
}
