/**
 * A statement that is not answered: does the server work on it, or has the network swallowed it? Statements may take long, so no time-out
 * can tell. Nor may an account see other sessions; but the lock that a session holds goes with it, and whether it is free anybody may ask.
 * SQL Server itself notices a client that has gone within a minute (its TCP keep-alive is 30 s).
 */

/** Milliseconds without an answer before the lock is looked at, and between looks. */
const silenceMs = 15_000

/** Calls `lost` where `isDead` says so before it is stopped. @returns stops it. */
export function watchSilence(isDead: () => Promise<boolean>, lost: () => void, pause = silenceMs): () => void {
  let stopped = false
  let timer: NodeJS.Timeout
  const look = async (): Promise<void> => {
    const dead = await isDead()
    if (stopped) return
    if (dead) lost()
    else again()
  }
  const again = (): void => void (timer = setTimeout(() => void look(), pause).unref())
  again()
  return () => {
    stopped = true
    clearTimeout(timer)
  }
}
