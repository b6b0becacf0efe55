/** The first entry of a run's journal, which the API makes: it knows the request as it was sent. */
import { randomUUID } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import type { Static, TObject } from 'typebox'
import { journalVersion, type Head } from '../../journal/entries.js'
import { packageVersion } from '../../package-root.js'
import type { GenerationEvent } from '../../serving/protocol.js'
import { secondsNow } from './generation-state.js'

/** What a journal tells of the request that it is of. */
export interface ShownRequest {
  /** Name of the model as the caller wrote it. */
  readonly model: string
  readonly fingerprint: string
  readonly body: Readonly<Record<string, unknown>>
}

/** A checked body without the fields that are at their defaults. */
export function asSent<S extends TObject> (body: Static<S>, { properties }: S): ShownRequest['body'] {
  return Object.fromEntries(Object.entries(body).filter(([name, value]) =>
    value !== undefined && !isDeepStrictEqual(value, (properties[name] as { default?: unknown } | undefined)?.default)))
}

/** The head of a new run. */
export function headOf ({ model, fingerprint, body }: ShownRequest): Head {
  return {
    journal: journalVersion,
    id: `run_${randomUUID().replaceAll('-', '').slice(0, 24)}`,
    created: secondsNow(),
    server: packageVersion,
    model,
    fingerprint,
    request: body
  }
}

/** The same events, the first entries of the journal behind its head. */
export async function * withHead (
  events: AsyncIterable<GenerationEvent>, head: Head
): AsyncGenerator<GenerationEvent, void, undefined> {
  let isOpen = false
  for await (const event of events) {
    if (event.type !== 'journal' || isOpen) {
      yield event
      continue
    }
    isOpen = true
    yield { ...event, entries: [head, ...event.entries] }
  }
}

/** The events of a run whose journal is kept, not sent. */
export async function * withoutJournal (
  events: AsyncIterable<GenerationEvent>
): AsyncGenerator<GenerationEvent, void, undefined> {
  for await (const event of events) if (event.type !== 'journal') yield event
}
