/** Where the package lies, whether it runs from `dist/` or from an installed copy: the folder of its package.json. */
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'

function find (directory: string): string {
  if (existsSync(join(directory, 'package.json'))) return directory
  const parent = dirname(directory)
  if (parent === directory) throw new Error(`no package.json above ${import.meta.dirname}`)
  return find(parent)
}

/** Absolute path of the package's root folder. */
export const packageRoot = find(import.meta.dirname)
