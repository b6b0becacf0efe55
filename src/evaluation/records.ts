/**
 * Records on disk: a file of JSON lines whose first line says under which conditions the others were made. Appended to,
 * so that a run that was interrupted goes on where it was. Knows nothing of what is recorded.
 */
import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { RequestError } from '../errors.js'

/** One file of JSON lines, read whole and added to. */
export class Records<Row> {
  readonly #file: string
  readonly #rows: Row[]

  private constructor (file: string, rows: Row[]) {
    this.#file = file
    this.#rows = rows
  }

  /**
   * Opens a file, or begins it.
   * @throws RequestError for a file made under other conditions, naming the first that differs, and for one that is not
   * of this kind
   */
  static open<Row> (file: string, conditions: Readonly<Record<string, unknown>>): Records<Row> {
    if (!existsSync(file)) {
      mkdirSync(dirname(file), { recursive: true })
      writeFileSync(file, `${JSON.stringify(conditions)}\n`)
      return new Records<Row>(file, [])
    }
    const text = readFileSync(file, 'utf8')
    const whole = text.slice(0, text.lastIndexOf('\n') + 1)
    const [first, ...rest] = whole.split('\n').slice(0, -1).map((line, index) => parse(line, `${file}:${index + 1}`))
    checkConditions(file, conditions, Object(first) as Record<string, unknown>)
    // A line that was cut short while it was written.
    if (whole.length < text.length) writeFileSync(file, whole)
    return new Records<Row>(file, rest as Row[])
  }

  get rows (): readonly Row[] { return this.#rows }

  append (row: Row): void {
    appendFileSync(this.#file, `${JSON.stringify(row)}\n`)
    this.#rows.push(row)
  }
}

function parse (line: string, where: string): unknown {
  try {
    return JSON.parse(line)
  } catch (cause) {
    throw new RequestError('invalid_request', `${where} is not JSON: ${cause instanceof Error ? cause.message : ''}`,
      { cause })
  }
}

function checkConditions (
  file: string, wanted: Readonly<Record<string, unknown>>, found: Readonly<Record<string, unknown>>
): void {
  for (const name of new Set([...Object.keys(wanted), ...Object.keys(found)])) {
    const [here, there] = [JSON.stringify(wanted[name]), JSON.stringify(found[name])]
    if (here !== there) {
      throw new RequestError('invalid_request', `${file} was recorded with another ${name}: ${there ?? 'none'}, now ` +
        `${here ?? 'none'}; name another folder with --out, or delete it`, { param: 'out' })
    }
  }
}
