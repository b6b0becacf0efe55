/**
 * Best-of-N: draw N answers, return the one the reward ranks first (Stiennon et al. 2020, arXiv 2009.01325), or choose
 * among them otherwise. With `stop_when` they are drawn a few at a time, until more are not worth it; eagerly, an
 * answer is given up as soon as it cannot be the one (`early-exit.ts`). With `poisson_mean` N itself is drawn.
 */
import { isEnough } from '../selection/adaptive-stopping.js'
import type { Candidate, Generation } from '../candidate.js'
import { choose } from '../selection/choose.js'
import { growEagerly, roundSize } from './early-exit.js'
import { EventQueue } from '../event-queue.js'
import {
  candidatesFrom, eligible, embed, endEvent, finishChoice, openPrompt, progress, retire, scoreAll, startGeneration,
  TextStream
} from '../generation.js'
import type { DecodeEvent, DecodeResult, KlReport, Strategy } from '../runtime.js'
import { drawNumber, poissonKl } from '../selection/poisson.js'
import { expectedBest } from '../selection/selection-rules.js'
import { shareOut } from '../budget-split.js'
import type { ParametersOf } from './strategy-schemas.js'
import { parties } from '../selection/votes.js'

type Params = ParametersOf<'best_of_n'>

/** Tokens between two reports of how far the candidates are. */
const progressEvery = 16

/** Grows candidates side by side, scores each as it ends. */
async function * drawAll (
  generation: Generation, candidates: readonly Candidate[], params: Params
): AsyncGenerator<DecodeEvent> {
  const stop = params.stop_when
  const events = new EventQueue<DecodeEvent>()
  let drawn = 0
  const tell = (): false => {
    if (params.return_progress && ++drawn % (progressEvery * candidates.length) === 0) {
      events.push(progress(drawn / (progressEvery * candidates.length), candidates, []))
    }
    return false
  }
  const finish = async (candidate: Candidate): Promise<void> => {
    candidate.end()
    if (generation.runtime.scorer) await scoreAll(generation, [candidate])
    await embed(generation, [candidate])
    retire(candidate)
    events.push({ type: 'candidate', candidate: candidate.report() })
  }
  if (stop?.eager) {
    events.endWith(growEagerly(generation, candidates, stop.min_reward!, tell, finish,
      candidate => { events.push({ type: 'candidate', candidate: candidate.report() }) }))
  } else {
    events.endWith(shareOut(generation.budget, candidates, candidate =>
      !candidate.isFinished, async (candidate, most) => {
      await candidate.grow(tell, most)
      if (candidate.isFinished) await finish(candidate)
    }, finish))
  }
  yield * events
}

/** Whether drawing on is not worth it. */
function stops ({ stop_when: stop, num_candidates: most, extract }: Params, candidates: readonly Candidate[]): boolean {
  if (!stop) return false
  const rewards = candidates.flatMap(candidate => candidate.score?.value ?? [])
  const counts = parties(candidates.map(candidate => candidate.text), extract).flatMap(party =>
    party.answer === null ? [] : party.members.length)
  return isEnough(stop, rewards, counts, most - candidates.length)
}

/**
 * What the best of fewer answers would have had on average: says what more of them are worth. Of answers drawn without
 * looking at the others only.
 */
function rewardByN ({ stop_when: stop }: Params, candidates: readonly Candidate[]): DecodeResult['details'] {
  const rewards = candidates.flatMap(candidate => candidate.score?.value ?? [])
  if (stop || rewards.length < 2) return {}
  const sizes = Array.from({ length: Math.ceil(Math.log2(rewards.length)) }, (_, power) => 2 ** power)
  return { reward_by_n: [...sizes, rewards.length].map(size => ({ n: size, reward: expectedBest(rewards, size) })) }
}

function klOf ({ stop_when: stop, poisson_mean: mean, num_candidates: most }: Params, ofChoice: KlReport): KlReport {
  if (mean !== null) return { value: poissonKl(mean), kind: 'upper_bound' }
  // How many were drawn depends on what was drawn.
  return stop ? { value: Math.log(most), kind: 'upper_bound' } : ofChoice
}

/** Draws at most `num_candidates` answers from a prompt read once, selects n. */
export const bestOfN: Strategy<Params> = async function * (runtime, prompt, sampling, params, n) {
  const generation = startGeneration(runtime, prompt, sampling)
  const { poisson_mean: mean } = params
  const most = mean === null ? params.num_candidates : drawNumber(mean, runtime.random('number'))
  const atOnce = Math.min(params.stop_when?.every ?? most, most)
  const open = await openPrompt(generation)
  const candidates: Candidate[] = []
  while (candidates.length === 0 ||
      (candidates.length < most && !stops(params, candidates) && !generation.budget.isSpent())) {
    const count =
      Math.min(params.stop_when?.eager ? roundSize(atOnce, candidates.length) : atOnce, most - candidates.length)
    const next = candidatesFrom(generation, open, candidates.length, count, candidates.length + count === most)
    yield * drawAll(generation, next, params)
    candidates.push(...next)
  }
  open.root.close()

  const whole = eligible(candidates.filter(candidate => candidate.prunedAt === null), n)
  const chosen = choose(whole, params, n, runtime.random('selection'))
  const choices = chosen.positions.map(position => whole[position]!)
    .sort((a, b) => Number(a.isUnbegun) - Number(b.isUnbegun)).map(candidate => candidate.choice())
  yield { type: 'selection', candidateIndices: choices.map(({ candidateIndex }) => candidateIndex) }
  for (const [index, choice] of choices.entries()) yield * finishChoice(new TextStream(index), index, choice)
  const kl = klOf(params, chosen.kl)
  yield endEvent(generation, candidates.map(candidate => candidate.report()), choices,
    n === 1 ? kl : { value: null, kind: null },
    { ...chosen, details: { ...rewardByN(params, whole), ...chosen.details } })
}
