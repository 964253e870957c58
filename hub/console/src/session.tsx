/** Who is signed in, and what they may do. */
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { createContext, use, useEffect, type ReactNode } from 'react'
import { call, onProblem, Problem } from './api.ts'
import { FactorPage } from './pages/factor.tsx'
import { PasswordPage } from './pages/password.tsx'
import { SignInPage } from './pages/sign-in.tsx'
import { Failed, Waiting } from './parts/outcome.tsx'

export interface Me {
  person: string | null
  name: string
  agency: string | null
  agencyName: string | null
  roles: string[]
  lastSignIn: string | null
  hasFactor: boolean
  due: 'password' | 'factor' | null
}

interface Session {
  me: Me
  /** Whether they may do it at all, to some object or other. */
  can: (operation: string) => boolean
  /** Whether they may do it everywhere, not to what is their agency's alone. */
  everywhere: (operation: string) => boolean
  /** Whether they may do it with what is an agency's, or everywhere. */
  may: (operation: string, agency: unknown) => boolean
}

const Context = createContext<Session | undefined>(undefined)

async function readSession(): Promise<{ me: Me; can: Record<string, string[]> } | null> {
  try {
    const me = await call<Me>('me.read')
    return { me, can: me.due ? {} : (await call<{ can: Record<string, string[]> }>('rights.list')).can }
  } catch (error) {
    if (error instanceof Problem && error.status === 401) return null
    throw error
  }
}

/** Shows what is within only to who is signed in and owes neither another password nor a second factor. */
export function SessionGate({ children }: { children: ReactNode }) {
  const client = useQueryClient()
  const { data, error, refetch } = useQuery({ queryKey: ['session'], queryFn: readSession, staleTime: Infinity, retry: false })
  useEffect(
    () =>
      onProblem(({ status, code }) => {
        if (status === 401 && data) client.setQueryData(['session'], null)
        if (code === 'QZ-PASSWORD-DUE' || code === 'QZ-FACTOR-DUE') void refetch()
      }),
    [client, data, refetch],
  )
  const again = () => void client.resetQueries()
  // A hub that is away for a while ends nobody's session: what is shown stays until it is back.
  if (data === undefined) return error ? <Failed error={error} again={() => void refetch()} /> : <Waiting />
  if (data === null) return <SignInPage done={again} />
  const { me, can } = data
  if (me.due === 'password') return <PasswordPage done={again} />
  if (me.due === 'factor') return <FactorPage done={again} />
  const everywhere = (operation: string) => (can[operation] ?? []).includes('any')
  const may = (operation: string, agency: unknown) => everywhere(operation) || (operation in can && agency === me.agency)
  return <Context value={{ me, can: (operation) => operation in can, everywhere, may }}>{children}</Context>
}

export function useSession(): Session {
  return use(Context)!
}
