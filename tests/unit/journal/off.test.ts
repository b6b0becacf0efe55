/** Without a journal there is no recorder, and nothing is made for one. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Recorder } from '../../../src/journal/recorder.js'
import { recorderOf } from '../../../src/serving/run-journal.js'
import type { GenerateRequest } from '../../../src/serving/protocol.js'
import { alignmentOf, everyStrategy, oddities, run } from '../../helpers/run-strategy.js'

/** The names of a recorder's methods. */
const methods = Object.getOwnPropertyNames(Recorder.prototype).filter(name => name !== 'constructor')

/** Has every recorder refuse while some work is done. @returns how often one was used */
async function refusing (work: () => Promise<void>): Promise<number> {
  let used = 0
  const kept = Object.getOwnPropertyDescriptors(Recorder.prototype)
  for (const name of methods) Object.defineProperty(Recorder.prototype, name, { value: () => { used++ } })
  try {
    await work()
  } finally {
    Object.defineProperties(Recorder.prototype, kept)
  }
  return used
}

test('a request has a recorder only where its journal or a view of it is asked for', () => {
  const asked = (changes: Partial<GenerateRequest>): boolean =>
    recorderOf({ alignment: null, journal: null, ...changes } as GenerateRequest) !== null
  const searching = alignmentOf(everyStrategy[0]!)!
  assert.deepEqual([{}, { alignment: searching }].map(asked), [false, false])
  assert.deepEqual([
    { journal: { alternatives: 0, pieces: false } },
    { alignment: { ...searching, return_trace: true } },
    { alignment: { ...searching, return_progress: true } }
  ].map(asked), [true, true, true])
})

test('strategies without a journal call no recorder and write no token’s text for one', async () => {
  for (const alignment of [null, ...everyStrategy]) {
    const used = await refusing(async () => {
      const { events } = await run(alignment, {
        scorer: oddities,
        through: request => ({ ...request, pieceOf: () => { throw new Error('only journals ask for it') } })
      })
      assert.ok(events.every(({ type }) => type !== 'journal' && type !== 'progress'))
    })
    assert.equal(used, 0, JSON.stringify(alignment))
  }
  // What the count above would be with one.
  const traced = await refusing(async () => {
    await run({ ...everyStrategy[0], return_trace: true }, { scorer: oddities }).catch(() => {})
  })
  assert.ok(traced > 0)
})
