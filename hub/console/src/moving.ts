import { useEffect, useMemo, useState } from 'react'
import { onLine } from './live.ts'

/** Milliseconds for which rows that moved are seen to move. */
const movement = 10_000

/** Pairs whose rows arrived just now. */
export function useMoving(): ReadonlySet<string> {
  const [moving, setMoving] = useState<ReadonlyMap<string, number>>(new Map())
  useEffect(() => {
    const forget = (all: ReadonlyMap<string, number>) => new Map([...all].filter(([, until]) => until > Date.now()))
    const end = onLine(({ provider, receiver, moved }) => {
      if (moved && receiver !== null) setMoving((all) => forget(all).set(`${provider} ${receiver}`, Date.now() + movement))
    })
    const timer = setInterval(() => setMoving((all) => (all.size > 0 ? forget(all) : all)), 1000)
    return () => {
      end()
      clearInterval(timer)
    }
  }, [])
  return useMemo(() => new Set(moving.keys()), [moving])
}
