/** Small charts, drawn by hand: each says in words what it shows, and stands beside the same as numbers. */
import '../style/charts.css'

export interface Part {
  readonly name: string
  readonly value: number
  /** Colour and pattern, by the style sheet. */
  readonly look: string
}

/** Shares of a whole, clockwise from the top; `words`: what it says. */
export function Ring({ parts, words }: { parts: readonly Part[]; words: string }) {
  const all = parts.reduce((sum, { value }) => sum + value, 0)
  const radius = 40
  const round = 2 * Math.PI * radius
  const before = (at: number) => parts.slice(0, at).reduce((sum, { value }) => sum + value, 0)
  return (
    <svg className="ring" viewBox="0 0 100 100" role="img" aria-label={words}>
      <circle cx="50" cy="50" r={radius} className="rest" />
      {all > 0 &&
        parts.map(({ name, value, look }, at) => (
          <circle
            key={name}
            cx="50"
            cy="50"
            r={radius}
            className={look}
            strokeDasharray={`${(value / all) * round} ${round}`}
            strokeDashoffset={-(before(at) / all) * round}
            transform="rotate(-90 50 50)"
          />
        ))}
      <text x="50" y="56" textAnchor="middle">
        {all}
      </text>
    </svg>
  )
}

export interface Series {
  readonly name: string
  readonly values: readonly number[]
  readonly look: string
}

const [high, foot] = [160, 20]

interface LinesProps {
  days: readonly string[]
  series: readonly Series[]
  /** What it says. */
  words: string
  /** In the units of its texts. */
  wide?: number
}

/** Lines over days, from zero; the greatest value and the days at both ends are written at them. */
export function Lines({ days, series, words, wide = 600 }: LinesProps) {
  const most = Math.max(1, ...series.flatMap(({ values }) => values))
  const x = (at: number) => (days.length < 2 ? wide / 2 : (at / (days.length - 1)) * wide)
  const y = (value: number) => high - (value / most) * (high - 14)
  return (
    <svg className="lines" viewBox={`0 0 ${wide} ${high + foot}`} preserveAspectRatio="xMinYMin" role="img" aria-label={words}>
      <path d={`M 0 ${high} H ${wide}`} className="axis" />
      <text x="0" y="10">
        {most}
      </text>
      <text x="0" y={high + 16}>
        {days[0]}
      </text>
      <text x={wide} y={high + 16} textAnchor="end">
        {days.at(-1)}
      </text>
      {series.map(({ name, values, look }) => (
        <polyline key={name} className={look} points={values.map((value, at) => `${x(at)},${y(value)}`).join(' ')} />
      ))}
    </svg>
  )
}

/** One bar, as long as its share of the greatest. */
export function Bar({ value, most, look }: { value: number; most: number; look: string }) {
  return (
    <svg className="bar" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">
      <rect className={look} width={most > 0 ? (value / most) * 100 : 0} height="10" />
    </svg>
  )
}
