/** Writes files that are there whole or not at all, whatever happens while they are written. */
import { randomBytes } from 'node:crypto'
import { mkdir, open, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { RequestError } from './errors.js'

/** Something could not be kept: the disk is full, the folder is not writable. @param what in the plural */
export function storageError (what: string, directory: string, cause: unknown): RequestError {
  return new RequestError('storage_failed',
    `cannot store ${what} in ${directory}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
}

/**
 * Writes a file beside its place, then puts it there: a file of the same name stays as it was until then, and where
 * anything fails.
 * @param what it is, in the plural, for errors
 * @throws RequestError storage_failed
 */
export async function writeAtomically (path: string, text: string, what: string): Promise<void> {
  const folder = dirname(path)
  const partial = join(folder, `.${basename(path)}.${process.pid}.${randomBytes(4).toString('hex')}.part`)
  try {
    await mkdir(folder, { recursive: true })
    const file = await open(partial, 'w')
    try {
      await file.writeFile(text)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(partial, path)
  } catch (cause) {
    await rm(partial, { force: true }).catch(() => {})
    throw storageError(what, folder, cause)
  }
}
