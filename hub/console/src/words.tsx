/** The two languages of the console: every text is a pair, and each person chooses which one is shown. */
import { createContext, use, useEffect, useMemo, useState, type ReactNode } from 'react'
import type { Text } from './meta.ts'

export type Language = 'zh' | 'en'

interface Words {
  language: Language
  setLanguage: (language: Language) => void
  say: (text: Text) => string
}

const Context = createContext<Words | undefined>(undefined)
const kept = 'qianzhi-language'

/** As chosen before on this machine, else what the browser asks for; Chinese where it asks for neither. */
function firstLanguage(): Language {
  const chosen = localStorage.getItem(kept)
  if (chosen === 'zh' || chosen === 'en') return chosen
  const wanted = navigator.languages.map((tag) => tag.slice(0, 2)).find((tag) => tag === 'zh' || tag === 'en')
  return wanted === 'en' ? 'en' : 'zh'
}

export function WordsProvider({ children }: { children: ReactNode }) {
  const [language, setLanguage] = useState(firstLanguage)
  useEffect(() => {
    localStorage.setItem(kept, language)
    document.documentElement.lang = language === 'zh' ? 'zh-CN' : 'en'
  }, [language])
  const words = useMemo(() => ({ language, setLanguage, say: (text: Text) => text[language] }), [language])
  return <Context value={words}>{children}</Context>
}

export function useWords(): Words {
  return use(Context)!
}

/** A pair of texts. */
export const t = (zh: string, en: string): Text => ({ zh, en })

/** The city's time, whatever the browser's: `2026-11-28 14:03`. */
export function timeText(iso: string): string {
  const parts = new Intl.DateTimeFormat('sv-SE', {
    timeZone: 'Asia/Shanghai',
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
  })
  return parts.format(new Date(iso))
}

/** Days from one to another, both included. */
export function daysBetween(from: string, to: string): string[] {
  const [first, last] = [from, to].map((day) => Date.parse(`${day}T00:00:00Z`)) as [number, number]
  const many = Math.max(0, Math.round((last - first) / 86_400_000) + 1)
  return Array.from({ length: many }, (_, at) => new Date(first + at * 86_400_000).toISOString().slice(0, 10))
}
