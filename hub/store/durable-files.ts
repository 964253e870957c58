import { randomBytes } from 'node:crypto'
import { link, open, readFile, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { QianzhiError, reasonOf } from '../../protocol/errors.ts'
import type { LocalizedText } from '../../protocol/localized.ts'
import { generateSigningKey, signingKeyFromPem, signingKeyToPem, type SigningKey } from '../../protocol/signature.ts'

/** The hub's Ed25519 key: signs receipts and policies. Agents pin it, so it is never made again while its file is there. */
export async function loadHubKey(data: string): Promise<SigningKey> {
  const path = join(data, 'hub.key')
  const pem = await keepFile(path, () => signingKeyToPem(generateSigningKey()))
  return readKept(path, () => signingKeyFromPem(pem), {
    zh: '从备份恢复（各代理只认这把密钥）',
    en: 'restore it from a backup (agents know no other key)',
  })
}

/** What `read` makes of a file. Throws QZ-FILE-DAMAGED where it cannot. */
export async function readKept<T>(file: string, read: () => T | Promise<T>, remedy: LocalizedText): Promise<T> {
  try {
    return await read()
  } catch (cause) {
    throw new QianzhiError('QZ-FILE-DAMAGED', { file, reason: reasonOf(cause), remedy }, { cause })
  }
}

/** What the admin API asks for: whoever can read this file administers the hub. */
export async function loadAdminKey(data: string): Promise<string> {
  const path = adminKeyPath(data)
  const key = (await keepFile(path, () => `qza_${randomBytes(32).toString('base64url')}\n`)).trim()
  return readKept(
    path,
    () => {
      if (/^qza_[\w-]{43}$/.test(key)) return key
      throw new TypeError('not qza_…')
    },
    { zh: '删除它，下次启动时会生成新的', en: 'delete it: the next start makes another' },
  )
}

export function adminKeyPath(data: string): string {
  return join(data, 'admin.key')
}

/** Certificate of the hub's own authority (see tls.ts): what clients on this machine trust. */
export function authorityPath(data: string): string {
  return join(data, 'tls', 'authority.pem')
}

/**
 * The content of a secret file (mode 0600), made durably on first use. Two processes that start at once end up with one content: the
 * file appears whole, by `link`, and never replaces one.
 */
export async function keepFile(path: string, make: () => string): Promise<string> {
  const kept = await readIfThere(path)
  if (kept !== undefined) return kept
  const temporary = `${path}.${randomBytes(6).toString('hex')}`
  await writeDurably(temporary, make())
  try {
    await link(temporary, path)
    await syncFolder(dirname(path))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  } finally {
    await rm(temporary)
  }
  return readFile(path, 'utf8')
}

export async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

export async function writeDurably(path: string, content: string): Promise<void> {
  const file = await open(path, 'w', 0o600)
  try {
    await file.writeFile(content)
    await file.sync()
  } finally {
    await file.close()
  }
}

/** Makes a rename or a new name in a folder durable. Windows has no such call, and needs none. */
export async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return
  const handle = await open(folder)
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
