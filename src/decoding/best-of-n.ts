/** Best-of-N: draw N answers, return the one the reward ranks first (Stiennon et al. 2020, arXiv 2009.01325), or a soft choice among them. */
import type { Candidate } from './candidate.js'
import { EventQueue } from './event-queue.js'
import { endEvent, finishChoice, openCandidates, retire, scoreAll, startGeneration, TextStream } from './generation.js'
import type { BestOfNParams } from './parameters.js'
import type { DecodeEvent, KlReport, Strategy } from './runtime.js'
import { bestOfNKl, selectArgmax, selectSoftmax, softmaxKl, softmaxWeights } from './selection.js'

/** Tokens between two reports of how far the candidates are. */
const progressEvery = 16

const progress = (candidates: readonly Candidate[]): DecodeEvent =>
  ({ type: 'progress', candidates: candidates.map(({ index, text, score }) => ({ index, text, reward: score ? score.value : null })) })

/** Draws `num_candidates` answers side by side from a prompt read once, scores each as it ends, selects n. */
export const bestOfN: Strategy<BestOfNParams> = async function * (runtime, prompt, sampling, params, n) {
  const generation = startGeneration(runtime, prompt, sampling)
  const candidates = await openCandidates(generation, params.num_candidates)
  const events = new EventQueue<DecodeEvent>()
  let drawn = 0
  events.endWith(Promise.all(candidates.map(async candidate => {
    await candidate.grow(Infinity, () => {
      if (params.return_progress && ++drawn % (progressEvery * candidates.length) === 0) events.push(progress(candidates))
    })
    await scoreAll(generation, [candidate])
    retire(candidate)
    events.push({ type: 'candidate', candidate: candidate.report() })
  })))
  yield * events

  const rewards = candidates.map(candidate => candidate.score!.value)
  const weights = softmaxWeights(rewards, params.strength)
  const chosen = params.selection === 'argmax' ? selectArgmax(rewards, n) : selectSoftmax(weights, n, runtime.random('selection'))
  const kl: KlReport = params.selection === 'argmax' ? { value: bestOfNKl(candidates.length), kind: 'upper_bound' } : softmaxKl(weights)
  yield { type: 'selection', candidateIndices: chosen }
  const choices = chosen.map(index => candidates[index]!.choice())
  for (const [index, choice] of choices.entries()) yield * finishChoice(new TextStream(index), index, choice)
  yield endEvent(generation, candidates, choices, n === 1 ? kl : { value: null, kind: null })
}
