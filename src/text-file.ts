/** Text files that users give: UTF-8, with or without a byte order mark. The one place that reads them. */
import { isUtf8 } from 'node:buffer'
import { readFileSync } from 'node:fs'
import { RequestError } from './errors.js'

/** The first line that is not UTF-8, from 1. */
function brokenLine (bytes: Uint8Array): number {
  let line = 1
  for (let start = 0; start < bytes.length; line++) {
    const end = bytes.indexOf(0x0a, start)
    if (!isUtf8(bytes.subarray(start, end < 0 ? bytes.length : end))) return line
    start = end < 0 ? bytes.length : end + 1
  }
  return line
}

/**
 * The text of a file's bytes.
 * @param file its name, for messages
 * @throws RequestError naming file and line, for bytes that are not UTF-8
 */
export function decodeText (bytes: Uint8Array, file: string): string {
  if (isUtf8(bytes)) return new TextDecoder().decode(bytes)
  const isUtf16 = (bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff)
  throw new RequestError('invalid_request', `${file}:${brokenLine(bytes)}: must be UTF-8; ` +
    `${isUtf16 ? 'it is UTF-16' : 'this line is not (is it Latin-1?)'}`)
}

/** @throws RequestError naming file and line, for bytes that are not UTF-8; the system's error */
export function readTextFile (path: string): string {
  return decodeText(readFileSync(path), path)
}
