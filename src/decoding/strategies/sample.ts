/** Plain sampling: n answers side by side, each streamed as it is written. */
import { Decoding } from '../decoding.js'
import type { Strategy } from '../request.js'
import { eventsOf, TextStream } from '../streaming.js'

/** Draws n answers from the policy. */
export const sample: Strategy<null> = async function * (request) {
  const decoding = new Decoding(request)
  const candidates = await decoding.openCandidates(request.n)
  yield * eventsOf(tell => Promise.all(candidates.map(async candidate => {
    const stream = new TextStream(candidate.index)
    await candidate.grow({ from: 0 }, Infinity, () => { tell(stream.next(candidate.certainText, candidate.logprobs)) })
    candidate.close()
    tell(stream.finish(candidate.choice()))
  })))
  yield decoding.end(candidates.map(candidate => candidate.report()),
    candidates.map(candidate => candidate.choice()), { value: 0, kind: 'exact_sampled' })
}
