/**
 * Figures of a generation, whoever reads its events and however fast: every token it drew is counted once, and told to
 * the log once.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GenerationObserver } from '../../../../src/api/generation/generation-observer.js'
import { requestCancelled } from '../../../../src/errors.js'
import type { GenerationEvent } from '../../../../src/serving/protocol.js'
import type { ModelMetrics } from '../../../../src/metrics/model-metrics.js'

const used = { generatedTokens: 12, rewardSeconds: {} }
const text: GenerationEvent =
  { type: 'text', choice: 0, text: 'a', logprobs: [], tokens: [] } as unknown as GenerationEvent
const ending = [
  { type: 'end', result: { choices: [{ finishReason: 'stop' }], candidates: [{}], kl: { value: 0 } } },
  { type: 'usage', usage: { returnedTokens: 12, discardedTokens: 0 } }
] as unknown as GenerationEvent[]

interface Counted { returned: number, abandoned: number, failed: string[], logged: number, open: number }

/** An observer and the tokens that its metrics and its log were told of. */
function observed (): { observer: GenerationObserver, counted: Counted } {
  const counted: Counted = { returned: 0, abandoned: 0, failed: [], logged: 0, open: 0 }
  const metrics: Pick<ModelMetrics, 'observe' | 'scored' | 'succeeded' | 'abandoned' | 'failed'> = {
    observe () {},
    scored () {},
    succeeded ({ returnedTokens, discardedTokens }) { counted.returned += returnedTokens + discardedTokens },
    abandoned (tokens) { counted.abandoned += tokens },
    failed (code) { counted.failed.push(code) }
  }
  const log = {
    hold () { counted.open++ },
    release () { counted.open-- },
    addTokens (tokens: number) { counted.logged += tokens }
  }
  return { observer: new GenerationObserver(metrics as ModelMetrics, log), counted }
}

async function * given (
  events: readonly GenerationEvent[], error?: Error
): AsyncGenerator<GenerationEvent, void, undefined> {
  yield * events
  if (error) throw error
}

async function read (events: AsyncIterable<GenerationEvent>): Promise<GenerationEvent[]> {
  const all: GenerationEvent[] = []
  for await (const event of events) all.push(event)
  return all
}

test('a reader that is told of the end after all was drawn is counted once', async () => {
  const { observer, counted } = observed()
  const events = observer.events(given([text, ...ending]))
  await events.next()
  observer.used(used)
  assert.equal((await read(events)).length, 2)
  assert.deepEqual(counted, { returned: 12, abandoned: 0, failed: [], logged: 12, open: 0 })
})

test('a reader that leaves after all was drawn, or before, has left all tokens, once', async () => {
  for (const isEarly of [true, false]) {
    const { observer, counted } = observed()
    const events = observer.events(given([text, ...ending]))
    await events.next()
    if (isEarly) observer.used(used)
    await events.return()
    if (!isEarly) observer.used(used)
    assert.deepEqual(counted, { returned: 0, abandoned: 12, failed: [], logged: 12, open: 0 })
  }
})

test('so has one that is cut off', async () => {
  const { observer, counted } = observed()
  const events = observer.events(given([text], requestCancelled()))
  await assert.rejects(read(events))
  observer.used(used)
  assert.deepEqual(counted, { returned: 0, abandoned: 12, failed: ['request_cancelled'], logged: 12, open: 0 })
})
