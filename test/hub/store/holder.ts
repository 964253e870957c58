/** A process that holds a data folder, as a hub does: prints `held <url>` and stays until SIGTERM; `locked` where it may not. */
import { QianzhiError } from '../../../protocol/errors.ts'
import { startEmbedded } from '../../../hub/store/embedded.ts'

const [, , data, lockPatience] = process.argv
try {
  const store = await startEmbedded(data!, { lockPatience: Number(lockPatience) })
  process.once('SIGTERM', () => void store.stop().then(() => process.exit(0)))
  console.log(`held ${store.ownerUrl}`)
  setInterval(() => {}, 1000)
} catch (error) {
  console.log(error instanceof QianzhiError && error.code === 'QZ-DATA-LOCKED' ? 'locked' : String(error))
}
