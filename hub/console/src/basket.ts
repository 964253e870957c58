/** The basket 申请篮: codes of resources that are to be applied for together, for as long as this tab is open. */
import { useSyncExternalStore } from 'react'

const kept = 'qianzhi-basket'
/** As many as one call takes. */
export const mostInBasket = 50

const listeners = new Set<() => void>()
let codes = read()

function read(): readonly string[] {
  try {
    const found: unknown = JSON.parse(sessionStorage.getItem(kept) ?? '[]')
    return Array.isArray(found) ? found.filter((code) => typeof code === 'string') : []
  } catch {
    return []
  }
}

export function setBasket(next: readonly string[]): void {
  codes = next.slice(0, mostInBasket)
  sessionStorage.setItem(kept, JSON.stringify(codes))
  for (const listener of listeners) listener()
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener)
  return () => void listeners.delete(listener)
}

export function useBasket(): readonly string[] {
  return useSyncExternalStore(subscribe, () => codes)
}
