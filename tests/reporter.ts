/**
 * Node's TAP reporter with bounded failures: an assertion on large data would otherwise print all of it, 10 MB once.
 * What is cut says how much is missing.
 */
import { tap } from 'node:test/reporters'
import type { TestEvent } from 'node:test/reporters'

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

/** The events of a run, failures bounded. */
async function * boundedEvents (events: AsyncIterable<TestEvent>): AsyncGenerator<TestEvent, void> {
  for await (const event of events) {
    if (event.type === 'test:fail') cut(event.data.details.error)
    yield event
  }
}

/** @param events of Node's test runner @returns TAP, as without this file but for what is cut */
export default async function * reporter (events: AsyncIterable<TestEvent>): AsyncGenerator<string, void> {
  yield * tap(boundedEvents(events))
}
