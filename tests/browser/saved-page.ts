/** A recorded run as the file that people pass on. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Entry } from '../../src/journal/entries.js'
import { exportedPage } from '../../src/journal/exported.js'
import { packageRoot } from '../../src/package-root.js'

/** Writes a run's page into a folder. @returns its address */
export function savedPage (folder: string, entries: readonly Entry[]): string {
  const path = join(folder, 'run.html')
  const viewer = readFileSync(join(packageRoot, 'dist/src/inspector/page/viewer.html'), 'utf8')
  writeFileSync(path, exportedPage(viewer, entries))
  return `file://${path}`
}
