/** Figures of a generation, whoever reads its events and however fast: every token it drew is counted once. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Watch } from '../../../../src/api/plugins/observe.js'
import { RequestError } from '../../../../src/errors.js'
import type { GenerationEvent } from '../../../../src/serving/protocol.js'
import type { ModelMetrics } from '../../../../src/metrics/model-metrics.js'

const spent = { generatedTokens: 12, rewardSeconds: {} }
const text: GenerationEvent =
  { type: 'text', choice: 0, text: 'a', logprobs: [], tokens: [] } as unknown as GenerationEvent
const ending = [
  { type: 'end', result: { choices: [{ finishReason: 'stop' }], candidates: [{}], kl: { value: 0 } } },
  { type: 'usage', usage: { returnedTokens: 12, discardedTokens: 0 } }
] as unknown as GenerationEvent[]

/** A watch and the tokens that its metrics were told of. */
function watched (): { watch: Watch, counted: { returned: number, abandoned: number, failed: string[] } } {
  const counted = { returned: 0, abandoned: 0, failed: [] as string[] }
  const metrics: Pick<ModelMetrics, 'observe' | 'scored' | 'succeeded' | 'abandoned' | 'failed'> = {
    observe () {},
    scored () {},
    succeeded ({ returnedTokens, discardedTokens }) { counted.returned += returnedTokens + discardedTokens },
    abandoned (tokens) { counted.abandoned += tokens },
    failed (code) { counted.failed.push(code) }
  }
  return { watch: new Watch(metrics as ModelMetrics), counted }
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
  const { watch, counted } = watched()
  const events = watch.events(given([text, ...ending]))
  await events.next()
  watch.used(spent)
  assert.equal((await read(events)).length, 2)
  assert.deepEqual(counted, { returned: 12, abandoned: 0, failed: [] })
})

test('a reader that leaves after all was drawn, or before, has left all tokens, once', async () => {
  for (const isEarly of [true, false]) {
    const { watch, counted } = watched()
    const events = watch.events(given([text, ...ending]))
    await events.next()
    if (isEarly) watch.used(spent)
    await events.return()
    if (!isEarly) watch.used(spent)
    assert.deepEqual(counted, { returned: 0, abandoned: 12, failed: [] })
  }
})

test('so has one that is cut off', async () => {
  const { watch, counted } = watched()
  const events = watch.events(given([text], new RequestError('request_cancelled', 'the caller left')))
  await assert.rejects(read(events))
  watch.used(spent)
  assert.deepEqual(counted, { returned: 0, abandoned: 12, failed: ['request_cancelled'] })
})
