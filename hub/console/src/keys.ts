import { useEffect } from 'react'

/** What keys do on a page, but not while something is written, chosen or asked. */
export function useKeys(keys: Readonly<Record<string, ((event: KeyboardEvent) => void) | undefined>>): void {
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      const { key, target, ctrlKey, metaKey, altKey } = event
      const busy = (target as HTMLElement).closest('input,textarea,select,[role=dialog],[role=menu]')
      const onItself = key === 'Enter' && (target as HTMLElement).closest('a,button')
      if (!ctrlKey && !metaKey && !altKey && !busy && !onItself) keys[key]?.(event)
    }
    window.addEventListener('keydown', pressed)
    return () => window.removeEventListener('keydown', pressed)
  })
}
