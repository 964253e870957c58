import { Link } from 'react-router'
import { valueText } from '../fields.ts'
import type { Text } from '../meta.ts'
import { pairOf, type Flow, type Rails } from '../rails.ts'
import { t, useWords } from '../words.tsx'
import '../style/flows.css'

interface MapProps {
  rails: Rails
  chosen: string | undefined
  moving: ReadonlySet<string>
  /** Left out where there is nobody to choose, as on a wall. */
  choose?: (agency: string) => void
  open?: (edge: Flow) => void
  /** Height that few agencies are spread over. */
  least?: number
}

const [width, left, right, narrowest, widest, top] = [1080, 250, 830, 24, 46, 24]

/** Two rails, providers left and receivers right, with a curve for each pair. */
export function RailsMap({ rails, chosen, moving, choose, open, least = 0 }: MapProps) {
  const { say } = useWords()
  const { providers, receivers, curves, folded } = rails
  const many = Math.max(providers.length, receivers.length, 1)
  const step = Math.min(widest, Math.max(narrowest, least / many))
  const height = top * 2 + many * step
  const y = (at: number) => top + at * step
  const concerns = ({ from, to }: Rails['curves'][number]) => chosen === undefined || chosen === from || chosen === to
  const name = (side: 'left' | 'right', { agency, name, state }: Rails['providers'][number], at: number) => (
    <g
      key={agency}
      className={`node ${state}`}
      aria-label={`${name}: ${valueText(state, 'state', 'line', say)}`}
      {...(choose
        ? {
            role: 'button',
            tabIndex: 0,
            'aria-pressed': chosen === agency,
            onClick: () => choose(agency),
            onKeyDown: ({ key }: { key: string }) => (key === 'Enter' || key === ' ' ? choose(agency) : undefined),
          }
        : { role: 'img' })}
    >
      <rect x={side === 'left' ? 0 : right} y={y(at) - step / 2} width={left} height={step} />
      <text x={side === 'left' ? left - 10 : right + 10} y={y(at) + 4} textAnchor={side === 'left' ? 'end' : 'start'}>
        {state === 'held' ? '\u25b2 ' : ''}
        {name.length > 16 ? `${name.slice(0, 15)}\u2026` : name}
      </text>
    </g>
  )
  return (
    <div className="flows">
      <svg
        viewBox={`0 0 ${width} ${height}`}
        preserveAspectRatio="xMidYMin"
        fontSize={Math.min(15, step * 0.54)}
        role="group"
        aria-label={say(t('流向图', 'Flows'))}
      >
        {curves.map((curve) => {
          const { edge, fromAt, toAt, state, weight } = curve
          const [a, b, middle] = [y(fromAt), y(toAt), (left + right) / 2]
          const path = `M ${left} ${a} C ${middle} ${a}, ${middle} ${b}, ${right} ${b}`
          const moves = edges(curve).some((one) => moving.has(pairOf(one)))
          const look = ['curve', state, concerns(curve) ? (chosen === undefined ? '' : 'chosen') : 'aside', moves ? 'moving' : '']
          return (
            <g key={`${curve.from} ${curve.to}`} className={look.join(' ')}>
              <path d={path} strokeWidth={1 + weight * 1.5} />
              <path d={path} className="hit" onClick={() => edge && open?.(edge)}>
                <title>{say(told(curve, say))}</title>
              </path>
              {state === 'held' && (
                <text x={middle} y={(a + b) / 2 + 5} textAnchor="middle" className="cross" aria-hidden="true">
                  {'\u2715'}
                </text>
              )}
            </g>
          )
        })}
        {providers.map((node, at) => name('left', node, at))}
        {receivers.map((node, at) => name('right', node, at))}
      </svg>
      {folded.agencies > 0 && (
        <p className="muted">
          {say(
            t(
              `其余 ${folded.agencies} 个单位、${folded.routes} 条路由不更坏`,
              `${folded.agencies} other agencies with ${folded.routes} routes, none of them worse`,
            ),
          )}{' '}
          {open && <Link to="/lines">{say(t('交换链路', 'Lines'))}</Link>}
        </p>
      )}
    </div>
  )
}

const edges = ({ edge }: Rails['curves'][number]) => (edge ? [edge] : [])

function told({ edge, from, to }: Rails['curves'][number], say: (text: Text) => string): Text {
  if (!edge) return { zh: `${from} \u25b8 ${to}`, en: `${from} \u25b8 ${to}` }
  const state = valueText(edge.state, 'state', 'line', say)
  const text = `${edge.providerName ?? edge.provider} \u25b8 ${edge.receiverName ?? edge.receiver}: ${edge.routes}, ${state}. ${say(edge.turn)}`
  return { zh: text, en: text }
}
