import assert from 'node:assert/strict'
import { test } from 'node:test'
import { KeptRun, KeptRuns } from '../../../../src/api/runs/kept-runs.js'
import { RequestError } from '../../../../src/errors.js'
import type { GenerationEvent } from '../../../../src/serving/protocol.js'

const runOf = (id: string): KeptRun => new KeptRun(
  { journal: 1, id, created: 0, server: '0', model: 'm', fingerprint: 'fl', request: {} }, 'somebody')
const grown = (t: number, characters: number): GenerationEvent =>
  ({ type: 'journal', entries: [{ t, open: [[0, null, 0, 0]] }, { t, grow: [[0, 2, 'x'.repeat(characters)]] }] })

async function * from (...events: Array<GenerationEvent | Error>): AsyncGenerator<GenerationEvent> {
  for (const event of events) {
    if (event instanceof Error) throw event
    yield event
  }
}

async function drain (events: AsyncIterable<unknown>): Promise<unknown[]> {
  const seen: unknown[] = []
  for await (const event of events) seen.push(event)
  return seen
}

test('runs make room for later ones by number and by bytes, also while they are written', async () => {
  const runs = new KeptRuns({ keptRuns: 2, keptRunBytes: 3000 })
  const [first, second, third] = [runOf('a'), runOf('b'), runOf('c')]
  await drain(runs.keep(from(grown(1, 10)), first))
  await drain(runs.keep(from(grown(1, 10)), second))
  assert.deepEqual(runs.list(null).map(({ head }) => head.id), ['b', 'a'])
  await drain(runs.keep(from(grown(1, 10)), third))
  assert.deepEqual(runs.list('somebody').map(({ head }) => head.id), ['c', 'b'])
  assert.ok(first.isGone)
  // One that alone is too large is not kept, and is generated all the same.
  const events = await drain(runs.keep(from(grown(1, 2000), grown(2, 10)), runOf('d')))
  assert.equal(events.length, 2)
  assert.deepEqual(runs.list(null), [])
})

test('readers get what is there and what comes, and end with the run or when it makes room', async () => {
  const runs = new KeptRuns({ keptRuns: 1, keptRunBytes: 1 << 20 })
  const run = runOf('a')
  const { signal } = new AbortController()
  const events = runs.keep(from(grown(1, 1), new RequestError('scorer_failed', 'no', { param: 'x' })), run)
  await events.next()
  const reading = drain(run.read(1, signal))
  await assert.rejects(drain(events), /no/)
  const lines = (await reading).map(line => JSON.parse(line as string) as object)
  assert.deepEqual(lines.at(-1), { t: 1, fail: { code: 'scorer_failed', message: 'no', param: 'x' } })
  assert.equal(lines.length, 3)
  assert.deepEqual([run.state, run.tokens], ['failed', 2])

  const left = runOf('b')
  const writing = runs.keep(from(grown(1, 1), grown(2, 1)), left)
  await writing.next()
  const followed = drain(left.read(0, signal))
  await drain(runs.keep(from(), runOf('c')))
  assert.equal((await followed).length, 3)
  await drain(writing)
  assert.equal(left.lines.length, 3)
})

test('a run whose reader leaves has been cancelled', async () => {
  const runs = new KeptRuns({ keptRuns: 1, keptRunBytes: 1 << 20 })
  const run = runOf('a')
  for await (const event of runs.keep(from(grown(1, 1), grown(2, 1)), run)) if (event.type === 'journal') break
  assert.match(run.lines.at(-1)!, /request_cancelled/)
})
