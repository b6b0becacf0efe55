/** Plain sampling: n answers side by side, each streamed as it is written. */
import { EventQueue } from '../event-queue.js'
import { endEvent, finishChoice, openCandidates, retire, startGeneration, TextStream } from '../generation.js'
import type { DecodeEvent, Strategy } from '../runtime.js'

/** Draws n answers from the policy. */
export const sample: Strategy<null> = async function * (runtime, prompt, sampling, _, n) {
  const generation = startGeneration(runtime, prompt, sampling)
  const candidates = await openCandidates(generation, n)
  const events = new EventQueue<DecodeEvent>()
  events.endWith(Promise.all(candidates.map(async candidate => {
    const stream = new TextStream(candidate.index)
    await candidate.grow(() => {
      const event = stream.next(candidate.certainText, candidate.logprobs)
      if (event) events.push(event)
      return false
    })
    retire(candidate)
    for (const event of finishChoice(stream, candidate.index, candidate.choice())) events.push(event)
  })))
  yield * events
  yield endEvent(generation, candidates.map(candidate => candidate.report()),
    candidates.map(candidate => candidate.choice()), { value: 0, kind: 'exact_sampled' })
}
