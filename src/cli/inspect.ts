/** `fairlead inspect`: what a recorded run did, as text, or as a picture to share. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { RequestError } from '../errors.js'
import { exportedPage } from '../journal/exported.js'
import { JournalError, readJournal, type ReadJournal } from '../journal/read.js'
import { runSvg } from '../journal/svg.js'
import { runText } from '../journal/text.js'
import { packageRoot } from '../package-root.js'
import { readText, say, type Command } from './command.js'
import { textOption, type Options } from './options.js'

/** The page that shows a run from a disk. */
const viewer = join(packageRoot, 'dist/src/inspector/viewer.html')

const options: Options = {
  html: { type: 'string', help: 'file for a page that shows the run without a server, in place of text' },
  svg: { type: 'string', help: 'file for an animated picture (SVG) of the search, in place of text' }
}

/** @throws RequestError naming the file, and the line that is no entry */
function read (file: string): ReadJournal {
  const text = readText(file)
  try {
    return readJournal(text)
  } catch (cause) {
    if (!(cause instanceof JournalError)) throw cause
    throw new RequestError('invalid_request', `${file}: ${cause.message}`, { cause })
  }
}

function write (file: string, text: string): void {
  try {
    writeFileSync(file, text)
  } catch (cause) {
    throw new RequestError('invalid_request',
      `cannot write ${file}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
  }
  say(`${file}: ${Buffer.byteLength(text)} bytes`)
}

/** @throws RequestError where this build has no viewer */
function pageOf (entries: ReadJournal['entries']): string {
  if (existsSync(viewer)) return exportedPage(readFileSync(viewer, 'utf8'), entries)
  throw new RequestError('invalid_request', `--html needs the viewer, which is not built: ${viewer}`, { param: 'html' })
}

export const inspect: Command = {
  usage: 'FILE [OPTIONS]',
  options,
  maxPositionals: 1,
  async run (values, [file]) {
    if (file === undefined) {
      throw new RequestError('invalid_request',
        'a file is required: fairlead inspect run.fairlead.jsonl (written by fairlead generate --journal)')
    }
    const { entries, run } = read(file)
    const svg = textOption(values, 'svg')
    const html = textOption(values, 'html')
    if (html !== undefined) write(html, pageOf(entries))
    if (svg !== undefined) write(svg, runSvg(entries))
    if (html === undefined && svg === undefined) console.log(runText(run))
  }
}
