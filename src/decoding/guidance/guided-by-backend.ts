/**
 * Token guidance where the policy's backend guides: answers grow as plain ones do, in one go, and what the backend
 * draws them from it was told with the request. Only what it tells of tokens is known of them: no values, no KL.
 */
import { splitBudget } from '../budget-split.js'
import type { Candidate } from '../candidate.js'
import { Decoding, unknownKl } from '../decoding.js'
import type { DecodeEvent } from '../events.js'
import type { DecodingRequest } from '../request.js'
import { eventsOf, TextStream } from '../streaming.js'

/** Grows all answers side by side, scores each as it ends. */
function growAll (decoding: Decoding, candidates: readonly Candidate[]): AsyncIterable<DecodeEvent> {
  const streams = candidates.map(({ index }) => new TextStream(index))
  return eventsOf(tell => {
    const finish = async (candidate: Candidate): Promise<void> => {
      candidate.end()
      await decoding.score([candidate])
      candidate.close()
      tell(streams[candidate.index]!.finish(candidate.choice()))
    }
    return splitBudget(decoding.budget, candidates, ({ isFinished }) => !isFinished, async (candidate, max) => {
      await candidate.grow({ from: 0 }, max, ({ index, certainText, logprobs }) => {
        tell(streams[index]!.next(certainText, logprobs))
      })
      if (candidate.isFinished) await finish(candidate)
    }, finish)
  })
}

/**
 * Draws n answers.
 * @param isGreedy whether the most probable token is taken, of which the KL is unknown anywhere
 */
export async function * guidedByBackend (
  request: DecodingRequest, isGreedy: boolean
): AsyncGenerator<DecodeEvent, void, undefined> {
  const decoding = new Decoding(request)
  const candidates = await decoding.openCandidates(request.n)
  yield * growAll(decoding, candidates)
  yield decoding.end(candidates.map(candidate => candidate.report()), candidates.map(candidate => candidate.choice()),
    unknownKl, {
      warnings: isGreedy
        ? []
        : [{
            code: 'kl_unknown',
            message: 'the engine of this model guides tokens itself and does not tell the KL of its steps'
          }]
    })
}
