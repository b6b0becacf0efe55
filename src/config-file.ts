/** Files that an operator writes, in YAML or JSON, which is YAML. Knows no settings. */
import { parse } from 'yaml'
import { RequestError } from './errors.js'
import { readTextFile } from './text-file.js'

/** A file as plain data. @throws RequestError naming the file, if it cannot be read or parsed */
export function readDataFile (path: string): unknown {
  try {
    return parse(readTextFile(path), { maxAliasCount: 0 })
  } catch (cause) {
    if (cause instanceof RequestError) throw cause
    throw new RequestError('invalid_request',
      `${path} cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
  }
}
