import type { AddressInfo } from 'node:net'
import pino from 'pino'
import type { Test } from 'tap'
import { WakeupRelay } from '../../hub/store/wakeups.ts'
import { openCity, type City } from './city.ts'

/** A city's hub that listens, and hears what its store tells of itself. */
export async function listening(test: Test): Promise<{ city: City; origin: string }> {
  const city = await openCity(test)
  const relay = new WakeupRelay(city.url, city.wakeups, pino({ level: 'silent' }))
  await relay.start({ send: false })
  test.teardown(() => relay.close())
  await city.app.listen({ host: '127.0.0.1', port: 0 })
  return { city, origin: `https://127.0.0.1:${(city.app.server.address() as AddressInfo).port}` }
}
