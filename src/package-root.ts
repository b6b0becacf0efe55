/**
 * The package itself: its version, and where it lies, whether it runs from `dist/` or from an installed copy: the
 * folder of its package.json.
 */
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

function find (directory: string): string {
  if (existsSync(join(directory, 'package.json'))) return directory
  const parent = dirname(directory)
  if (parent === directory) throw new Error(`no package.json above ${import.meta.dirname}`)
  return find(parent)
}

/** Absolute path of the package's root folder. */
export const packageRoot = find(import.meta.dirname)

/** The version in package.json. */
export const packageVersion = (JSON.parse(readFileSync(join(packageRoot, 'package.json'),
  'utf8')) as { version: string }).version
