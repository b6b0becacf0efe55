/**
 * Best-of-N: draw N answers, return the one the reward ranks first (Stiennon et al. 2020, arXiv 2009.01325), or choose
 * among them otherwise. With `stop_when` they are drawn a few at a time, until more are not worth it; with early exit
 * an answer is given up as soon as it cannot be the one (`early-exit.ts`). With `poisson_mean` N itself is drawn.
 */
import { splitBudget } from '../budget-split.js'
import { eligible, type Candidate } from '../candidate.js'
import { Decoding, unknownKl } from '../decoding.js'
import type { DecodeEvent } from '../events.js'
import type { Strategy } from '../request.js'
import type { DecodeResult, KlReport } from '../result.js'
import { isEnough } from '../selection/adaptive-stopping.js'
import { choose } from '../selection/choose.js'
import { drawNumber, poissonKl } from '../selection/poisson.js'
import { expectedBest } from '../selection/selection-rules.js'
import { voteGroups } from '../selection/votes.js'
import { eventsOf, reported, TextStream } from '../streaming.js'
import { growWithEarlyExit, roundSize } from './early-exit.js'
import type { ParametersOf } from './strategy-schemas.js'

type Params = ParametersOf<'best_of_n'>

/** Tokens of each candidate, on average, that the journal counts as a step. */
const stepTokens = 16

/** Grows candidates side by side, scores each as it ends. */
function drawAll (
  decoding: Decoding, candidates: readonly Candidate[], { stop_when: stop }: Params
): AsyncIterable<DecodeEvent> {
  return eventsOf(tell => {
    const perStep = stepTokens * candidates.length
    let drawn = 0
    const onToken = (): void => {
      if (++drawn % perStep === 0) decoding.request.journal?.step(drawn / perStep, candidates)
    }
    const report = (candidate: Candidate): void => { tell(reported([candidate])) }
    const finish = async (candidate: Candidate): Promise<void> => {
      candidate.end()
      if (decoding.request.scorer) await decoding.score([candidate])
      await decoding.embed([candidate])
      candidate.close()
      report(candidate)
    }
    if (stop?.eager) {
      return growWithEarlyExit(decoding, candidates, { minReward: stop.min_reward!, onToken, finish, report })
    }
    return splitBudget(decoding.budget, candidates, candidate => !candidate.isFinished, async (candidate, max) => {
      await candidate.grow({ from: 0 }, max, onToken)
      if (candidate.isFinished) await finish(candidate)
    }, finish)
  })
}

/** Whether drawing on is not worth it. */
function stops (
  { stop_when: stop, extract }: Params, candidates: readonly Candidate[], max: number
): boolean {
  if (!stop) return false
  const rewards = candidates.flatMap(candidate => candidate.score?.value ?? [])
  const counts = voteGroups(candidates.map(candidate => candidate.text), extract).flatMap(group =>
    group.answer === null ? [] : group.members.length)
  return isEnough(stop, rewards, counts, max - candidates.length)
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

function klOf ({ stop_when: stop, poisson_mean: mean, num_candidates: max }: Params, ofChoice: KlReport): KlReport {
  if (mean !== null) return { value: poissonKl(mean), kind: 'upper_bound' }
  // How many were drawn depends on what was drawn.
  return stop ? { value: Math.log(max), kind: 'upper_bound' } : ofChoice
}

/** Draws answers, a round at a time, until there are enough. */
async function * drawRounds (
  decoding: Decoding, params: Params, max: number, candidates: Candidate[]
): AsyncGenerator<DecodeEvent> {
  const { stop_when: stop } = params
  const atOnce = Math.min(stop?.every ?? max, max)
  const prompt = await decoding.openPrompt()
  do {
    const drawn = candidates.length
    const count = Math.min(stop?.eager ? roundSize(atOnce, drawn) : atOnce, max - drawn)
    const next = decoding.begin(prompt, drawn, count, drawn + count === max)
    yield * drawAll(decoding, next, params)
    candidates.push(...next)
  } while (candidates.length < max && !stops(params, candidates, max) && !decoding.budget.isUsedUp())
  prompt.close()
}

/** Draws at most `num_candidates` answers from a prompt read once, selects n. */
export const bestOfN: Strategy<Params> = async function * (request, params) {
  const decoding = new Decoding(request)
  const { poisson_mean: mean } = params
  const max = mean === null ? params.num_candidates : drawNumber(mean, request.random('number'))
  const candidates: Candidate[] = []
  yield * drawRounds(decoding, params, max, candidates)
  const whole = eligible(candidates.filter(candidate => candidate.prunedAt === null), request.n)
  const chosen = choose(whole, params, request.n, request.random('selection'))
  const choices = chosen.positions.map(position => whole[position]!)
    .sort((a, b) => Number(a.isUnbegun) - Number(b.isUnbegun)).map(candidate => candidate.choice())
  yield { type: 'selection', candidateIndices: choices.map(({ candidateIndex }) => candidateIndex) }
  for (const [index, choice] of choices.entries()) yield * new TextStream(index).finish(choice)
  yield decoding.end(candidates.map(candidate => candidate.report()), choices,
    request.n === 1 ? klOf(params, chosen.kl) : unknownKl,
    { ...chosen, details: { ...rewardByN(params, whole), ...chosen.details } })
}
