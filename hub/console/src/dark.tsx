import { createContext, use, useEffect, useMemo, useState, type ReactNode } from 'react'

interface Dark {
  isDark: boolean
  setDark: (dark: boolean) => void
}

const Context = createContext<Dark | undefined>(undefined)
const kept = 'qianzhi-dark'

/** As chosen before on this machine, else as the system is. */
export function DarkProvider({ children }: { children: ReactNode }) {
  const [isDark, setDark] = useState(() => {
    const chosen = localStorage.getItem(kept)
    return chosen === null ? matchMedia('(prefers-color-scheme: dark)').matches : chosen === 'yes'
  })
  useEffect(() => {
    document.documentElement.dataset['theme'] = isDark ? 'dark' : 'light'
  }, [isDark])
  const value = useMemo(() => {
    const choose = (dark: boolean) => {
      localStorage.setItem(kept, dark ? 'yes' : 'no')
      setDark(dark)
    }
    return { isDark, setDark: choose }
  }, [isDark])
  return <Context value={value}>{children}</Context>
}

export function useDark(): Dark {
  return use(Context)!
}
