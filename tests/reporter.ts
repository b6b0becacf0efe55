/**
 * Node's TAP reporter with bounded failures: an assertion on large data would otherwise print all of it, 10 MB once.
 * What is cut says how much is missing. The failures are named again after the totals.
 */
import { tap } from 'node:test/reporters'
import type { TestEvent } from 'node:test/reporters'

type Events = AsyncIterable<TestEvent>
type TestFail = Extract<TestEvent, { type: 'test:fail' }>['data']

/** Characters of a message, a stack or a compared value that are printed. */
const maxLength = 2048

function bounded (text: string): string {
  return text.length <= maxLength ? text : `${text.slice(0, maxLength)}… (${text.length - maxLength} characters more)`
}

/** Values are compared by the assertion already: as text they only explain. */
function boundedValue (value: unknown): unknown {
  if (typeof value === 'string') return bounded(value)
  if (typeof value !== 'object' || value === null) return value
  try {
    const text = JSON.stringify(value)
    return text.length <= maxLength ? value : bounded(text)
  } catch {
    return value
  }
}

/** Cuts an error's texts in place, those of its causes too: the reporter prints the object itself. */
function cut (error: unknown, depth = 0): void {
  if (typeof error !== 'object' || error === null || depth > 8) return
  const record = error as Record<string, unknown>
  for (const name of ['message', 'stack']) if (typeof record[name] === 'string') record[name] = bounded(record[name])
  for (const name of ['actual', 'expected']) if (name in record) record[name] = boundedValue(record[name])
  cut(record['cause'], depth + 1)
}

/** A failure in two comment lines of TAP: which test, where, and what its assertion says first. */
function failureLines ({ name, file, line, details: { error } }: TestFail): string {
  const cause: unknown = error.cause ?? error
  const message = cause instanceof Error ? cause.message : String(cause)
  const reason = message.split('\n').map(text => text.trim()).filter(Boolean).slice(0, 4).join(' ')
  return `# not ok: ${name.replaceAll('\n', ' ')} (${file ?? 'no file'}:${line ?? 0})\n#   ${bounded(reason)}\n`
}

/** The events of a run, failures bounded and gathered in `failures`; a suite fails with its tests and is left out. */
async function * boundedEvents (events: Events, failures: TestFail[]): AsyncGenerator<TestEvent, void> {
  for await (const event of events) {
    if (event.type === 'test:fail') {
      const { error } = event.data.details
      cut(error)
      if (!('failureType' in error && error.failureType === 'subtestsFailed')) failures.push(event.data)
    }
    yield event
  }
}

/**
 * @param events of Node's test runner
 * @returns TAP, as without this file but for what is cut, and at its end the failures once more: of a long output often
 *   only the end is at hand
 */
export default async function * reporter (events: Events): AsyncGenerator<string, void> {
  const failures: TestFail[] = []
  yield * tap(boundedEvents(events, failures))
  for (const failure of failures) yield failureLines(failure)
}
