/** Saving what is typed by itself, one save after the other, never two at once. */
import { useCallback, useEffect, useRef, useState } from 'react'

/** Milliseconds after the last change. */
const pause = 1_500

export interface Autosave {
  /** Something was changed: it is saved after a while. */
  touch: () => void
  /** Saves now what was changed; what is being saved is waited for. */
  flush: () => Promise<void>
  /** What was changed is not wanted any more. */
  drop: () => void
  state: 'saved' | 'changed' | 'saving' | 'refused'
  /** When it was saved last. */
  at: Date | undefined
  problem: unknown
}

/** `save` throws what is told as `problem`; it is tried again with the next change. */
export function useAutosave(save: () => Promise<void>): Autosave {
  const [told, setTold] = useState<Pick<Autosave, 'state' | 'at' | 'problem'>>({ state: 'saved', at: undefined, problem: undefined })
  const current = useRef(save)
  current.current = save
  const changed = useRef(false)
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined)
  const running = useRef<Promise<void>>(undefined)
  const flush = useCallback(async () => {
    clearTimeout(timer.current)
    await running.current
    if (!changed.current) return
    changed.current = false
    setTold((before) => ({ ...before, state: 'saving' }))
    running.current = current.current().then(
      () => setTold({ state: changed.current ? 'changed' : 'saved', at: new Date(), problem: undefined }),
      (problem: unknown) => {
        changed.current = true
        setTold((before) => ({ ...before, state: 'refused', problem }))
      },
    )
    await running.current
  }, [])
  const touch = useCallback(() => {
    changed.current = true
    setTold((before) => ({ ...before, state: 'changed' }))
    clearTimeout(timer.current)
    timer.current = setTimeout(() => void flush(), pause)
  }, [flush])
  const drop = useCallback(() => {
    clearTimeout(timer.current)
    changed.current = false
    setTold({ state: 'saved', at: undefined, problem: undefined })
  }, [])
  // Whoever leaves the page keeps what they typed.
  useEffect(() => () => void flush(), [flush])
  useEffect(() => {
    const warn = (event: BeforeUnloadEvent) => {
      if (!changed.current) return
      void flush()
      event.preventDefault()
    }
    addEventListener('beforeunload', warn)
    return () => removeEventListener('beforeunload', warn)
  }, [flush])
  return { touch, flush, drop, ...told }
}
