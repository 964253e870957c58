/** A real browser, where there is one on this machine. */
import { existsSync } from 'node:fs'
import { chromium, type Browser } from 'playwright-core'
import type { Test } from 'tap'

// The shell without a window's own pages needs half the processor.
const executablePath = [
  '/usr/bin/chromium-headless-shell',
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
].find((path) => existsSync(path))

/** Why tests that need it are skipped. */
export const noBrowser = executablePath ? false : 'no Chromium on this machine'

/** Asks nobody but the page's own server. */
export async function launchBrowser(): Promise<Browser> {
  const quiet = ['--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--disable-quic']
  // The hub's certificate is of its own authority. A page's own leave to ignore that comes too late: each new connection fails first, and a
  // request that meets many of them is given up (ERR_TOO_MANY_RETRIES).
  const trusting = '--ignore-certificate-errors'
  return chromium.launch({ executablePath: executablePath!, args: ['--no-sandbox', '--disable-gpu', trusting, ...quiet] })
}

/** Closed at the end of the test. */
export async function openBrowser(test: Pick<Test, 'teardown'>): Promise<Browser> {
  const browser = await launchBrowser()
  test.teardown(() => browser.close())
  return browser
}
