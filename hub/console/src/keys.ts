import { useEffect } from 'react'

/** What keys do on a page, but not while something is written, chosen or asked. */
export function useKeys(keys: Readonly<Record<string, (() => void) | undefined>>): void {
  useEffect(() => {
    const pressed = ({ key, target, ctrlKey, metaKey, altKey }: KeyboardEvent) => {
      const busy = (target as HTMLElement).closest('input,textarea,select,[role=dialog],[role=menu]')
      const onItself = key === 'Enter' && (target as HTMLElement).closest('a,button')
      if (!ctrlKey && !metaKey && !altKey && !busy && !onItself) keys[key]?.()
    }
    window.addEventListener('keydown', pressed)
    return () => window.removeEventListener('keydown', pressed)
  })
}
