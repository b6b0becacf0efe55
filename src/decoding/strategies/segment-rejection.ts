/**
 * Segment rejection (CARDS: Li et al. 2024, arXiv 2406.16306): one answer is drawn segment by segment, and a segment is
 * drawn anew while the prefix it makes falls short of a threshold that rises with the answer. The threshold's end is
 * read off the reward's standardisation, not given per reward model.
 */
import type { Candidate, Generation } from '../candidate.js'
import { entropy } from '../sampling/distribution.js'
import { EventQueue } from '../event-queue.js'
import {
  byScore, candidatesFrom, endEvent, finishChoice, openPrompt, progress, retire, scoreAll, startGeneration, TextStream
} from '../generation.js'
import type { CandidateReport, DecodeEvent, Strategy } from '../runtime.js'
import { Population } from './search.js'
import { after } from '../budget-split.js'
import type { ParametersOf } from './strategy-schemas.js'

type Params = ParametersOf<'segment_rejection'>

/** Bounds of a segment that ends by entropy, tokens. */
const [leastTokens, mostTokens] = [4, 64]

async function growSegment (candidate: Candidate, { tokens, entropy: bound }: Params['segment']): Promise<void> {
  if (tokens !== undefined) {
    await candidate.grow(after(tokens))
    return
  }
  for (let drawn = 1; drawn <= mostTokens && !candidate.isFinished; drawn++) {
    await candidate.grow(() => true)
    if (drawn >= leastTokens && entropy(candidate.output.distribution) >= bound!) return
  }
}

/** Threshold by length of the answer, tokens: rises from `start` to `target` at `maxTokens`. */
export const threshold = (start: number, target: number, length: number, maxTokens: number): number =>
  Math.min(target, start + length * (target - start) / maxTokens)

class SegmentedAnswer {
  readonly #generation: Generation
  readonly #params: Params
  readonly #population: Population
  readonly #start: number
  readonly #target: number
  /** What was accepted so far. */
  answer: Candidate
  segments = 0
  tries = 0
  /** Segments that were taken for want of a better. */
  fallbacks = 0

  constructor (
    generation: Generation, answer: Candidate, population: Population, params: Params, start: number, target: number
  ) {
    this.#generation = generation
    this.answer = answer
    this.#population = population
    this.#params = params
    this.#start = start
    this.#target = target
  }

  #accepts (attempt: Candidate): boolean {
    const short =
      threshold(this.#start, this.#target, attempt.drawn, this.#generation.sampling.maxTokens) - attempt.score!.value
    const probability = Math.exp(-this.#params.strength * Math.max(0, short))
    // A segment above the threshold asks for no random number, so that strength 0 leaves the answer's stream alone.
    return probability >= 1 || attempt.random.next() < probability
  }

  /** Adds a segment. @returns reports of the segments that were rejected */
  async extend (): Promise<CandidateReport[]> {
    const base = this.answer
    const rejected: CandidateReport[] = []
    let best: Candidate | null = null
    this.segments++
    for (let tried = 1; ; tried++) {
      const attempt = tried === 1 ? base.fork(base.index, base.path, base.random) : this.#population.fork(base)
      await growSegment(attempt, this.#params.segment)
      await scoreAll(this.#generation, [attempt])
      this.tries++
      // A deadline that passes before its first token leaves it what all tries begin with.
      const isRival = !best || attempt.drawn > base.drawn
      const accepted = isRival && this.#accepts(attempt)
      const better: Candidate = accepted || !best || (isRival && byScore(attempt, best) < 0) ? attempt : best
      if (best) rejected.push(this.#population.drop(better === attempt ? best : attempt, this.segments))
      best = better
      const last = accepted || tried === this.#params.max_tries || this.#generation.budget.isSpent()
      if (!accepted && last) this.fallbacks++
      if (last) break
    }
    retire(base)
    this.answer = best
    return rejected
  }

  reports (): CandidateReport[] { return this.#population.reports([this.answer]) }
}

/**
 * What the policy's own answers score on average, one standard deviation better: the sum of independent standardised
 * rewards has variance Σ weight².
 */
const calibratedTarget = ({ runtime }: Generation): number =>
  Math.hypot(...runtime.scorer!.used.map(({ weight }) => weight))

/** Draws n answers segment by segment, side by side; text is sent as its segment is accepted. */
export const segmentRejection: Strategy<Params> = async function * (runtime, prompt, sampling, params, n) {
  const generation = startGeneration(runtime, prompt, sampling)
  const open = await openPrompt(generation)
  // Answers go on at their own pace: each has its part of the budget, whatever the others take.
  const parts = generation.budget.split(n).map((budget): Generation => ({ ...generation, budget }))
  const candidates = parts.flatMap((part, index) => candidatesFrom(part, open, index, 1, index === n - 1))
  const [empty] = await runtime.scorer!.score(prompt, [await candidates[0]!.answer()])
  const target = params.target_reward ?? calibratedTarget(generation)
  const start = (1 - params.threshold_mix) * empty!.value + params.threshold_mix * target
  const answers = candidates.map((candidate, index) =>
    new SegmentedAnswer(parts[index]!, candidate, new Population(parts[index]!, index + n, n), params, start, target))
  const events = new EventQueue<DecodeEvent>()
  events.endWith(Promise.all(answers.map(async (segmented, index) => {
    const stream = new TextStream(index)
    const part = parts[index]!
    while (!segmented.answer.isFinished && !part.budget.isSpent()) {
      for (const candidate of await segmented.extend()) events.push({ type: 'candidate', candidate })
      if (params.return_progress) events.push(progress(segmented.segments, [segmented.answer], []))
      const event = stream.next(segmented.answer.certainText, segmented.answer.logprobs)
      if (event) events.push(event)
    }
    if (!segmented.answer.isFinished) {
      segmented.answer.end()
      await scoreAll(part, [segmented.answer])
    }
    retire(segmented.answer)
    events.push({ type: 'candidate', candidate: segmented.answer.report() })
    for (const event of finishChoice(stream, index, segmented.answer.choice())) events.push(event)
  })))
  yield * events
  for (const part of parts) generation.rewardTokens += part.rewardTokens
  const total = (count: (answer: SegmentedAnswer) => number): number =>
    answers.reduce((sum, answer) => sum + count(answer), 0)
  const [segments, fallbacks] = [total(answer => answer.segments), total(answer => answer.fallbacks)]
  const warnings = fallbacks === 0
    ? []
    : [{
        code: 'segment_fallback',
        message: `${fallbacks} of ${segments} segments were the best of ${params.max_tries} tries, none of which was ` +
        'accepted'
      }]
  const details = { segments, tries: total(answer => answer.tries), fallbacks, threshold: [start, target] }
  const reports = answers.flatMap(answer => answer.reports()).sort((a, b) => a.index - b.index)
  yield endEvent(generation, reports, answers.map(({ answer }) => answer.choice()), { value: null, kind: null },
    { warnings, details })
}
