/**
 * Segment rejection (CARDS: Li et al. 2024, arXiv 2406.16306): one answer is drawn segment by segment, and a segment is
 * drawn anew while the prefix it makes falls short of a threshold that rises with the answer. The threshold's end is
 * read off the reward's standardisation, not given per reward model.
 */
import type { StopCondition } from '../../policies/stop-condition.js'
import { byScore, type Candidate } from '../candidate.js'
import { Decoding, unknownKl } from '../decoding.js'
import type { DecodingRequest, Strategy } from '../request.js'
import type { Warning } from '../result.js'
import { eventsOf, reported, TextStream } from '../streaming.js'
import { Population } from './search.js'
import type { ParametersOf } from './strategy-schemas.js'

type Params = ParametersOf<'segment_rejection'>

/** Bounds of a segment that ends by entropy, tokens. */
const [minTokens, maxTokens] = [4, 64]

/** Where a segment ends. @param from its first token */
const segmentEnd = ({ tokens = maxTokens, entropy: atLeast }: Params['segment'], from: number): StopCondition =>
  ({ from, tokens, ...(atLeast === undefined ? {} : { entropy: { atLeast, minTokens } }) })

/** Threshold by length of the answer, tokens: rises from `start` to `target` at `maxTokens`. */
export const threshold = (start: number, target: number, length: number, maxTokens: number): number =>
  Math.min(target, start + length * (target - start) / maxTokens)

class SegmentedAnswer {
  readonly decoding: Decoding
  readonly #params: Params
  readonly #population: Population
  /** Least reward that is surely accepted, by tokens drawn. */
  readonly #threshold: (drawn: number) => number
  /** What was accepted so far. */
  answer: Candidate
  segments = 0
  tries = 0
  /** Segments that were taken for want of a better. */
  fallbacks = 0

  constructor (
    decoding: Decoding, answer: Candidate, population: Population, params: Params,
    threshold: (drawn: number) => number
  ) {
    this.decoding = decoding
    this.answer = answer
    this.#population = population
    this.#params = params
    this.#threshold = threshold
  }

  /** The threshold where the answer ends now. */
  get bound (): number { return this.#threshold(this.answer.drawn) }

  #accepts (attempt: Candidate): boolean {
    const short = this.#threshold(attempt.drawn) - attempt.score!.value
    const probability = Math.exp(-this.#params.strength * Math.max(0, short))
    // A segment above the threshold asks for no random number, so that strength 0 leaves the answer's stream alone.
    return probability >= 1 || attempt.random.next() < probability
  }

  /** Another segment behind what was accepted, scored. The first try goes on in the answer's own random stream. */
  async #try (isFirst: boolean): Promise<Candidate> {
    const base = this.answer
    const attempt = isFirst ? base.fork(base.index, base.path, base.random) : this.#population.fork(base)
    await attempt.grow(segmentEnd(this.#params.segment, base.drawn))
    await this.decoding.score([attempt])
    this.tries++
    return attempt
  }

  /** Adds a segment. @returns the segments that were rejected */
  async extend (): Promise<Candidate[]> {
    const base = this.answer
    const rejected: Candidate[] = []
    let best: Candidate | null = null
    this.segments++
    for (let tried = 1; ; tried++) {
      const attempt = await this.#try(tried === 1)
      // A deadline that passes before its first token leaves it what all tries begin with.
      const isRival = !best || attempt.drawn > base.drawn
      const accepted = isRival && this.#accepts(attempt)
      const better: Candidate = accepted || !best || (isRival && byScore(attempt, best) < 0) ? attempt : best
      if (best) {
        rejected.push(better === attempt ? best : attempt)
        this.#population.drop(rejected.slice(-1), this.segments)
      }
      best = better
      const last = accepted || tried === this.#params.max_tries || this.decoding.budget.isUsedUp()
      if (!accepted && last) this.fallbacks++
      if (last) break
    }
    base.close()
    this.answer = best
    return rejected
  }

  /** Ends the answer where it is, where its budget is used up. */
  async end (): Promise<void> {
    if (!this.answer.isFinished) {
      this.answer.end()
      await this.decoding.score([this.answer])
    }
    this.answer.close()
  }

  reports (): ReturnType<Population['reports']> { return this.#population.reports([this.answer]) }
}

/**
 * What the policy's own answers score on average, one standard deviation better: the sum of independent standardised
 * rewards has variance Σ weight².
 */
const calibratedTarget = ({ scorer }: DecodingRequest): number =>
  Math.hypot(...scorer!.used.map(({ weight }) => weight))

/** Answers of which nothing is drawn yet, and where their threshold starts and ends. */
async function openAnswers (
  decoding: Decoding, params: Params
): Promise<{ answers: SegmentedAnswer[], threshold: [start: number, target: number] }> {
  const { request, request: { n } } = decoding
  const prompt = await decoding.openPrompt()
  // Answers go on at their own pace: each has its part of the budget, whatever the others take.
  const parts = decoding.budget.split(n).map(budget => new Decoding(request, budget))
  const candidates = parts.flatMap((part, index) => part.begin(prompt, index, 1, index === n - 1, choice => choice))
  const [empty] = await request.scorer!.score(request.prompt, [await candidates[0]!.generation.answer()])
  const target = params.target_reward ?? calibratedTarget(request)
  const start = (1 - params.threshold_mix) * empty!.value + params.threshold_mix * target
  const rising = (drawn: number): number => threshold(start, target, drawn, request.sampling.maxTokens)
  const answers = parts.map((part, index) =>
    new SegmentedAnswer(part, candidates[index]!, new Population(request, index + n, n), params, rising))
  return { answers, threshold: [start, target] }
}

function warningsOf (fallbacks: number, segments: number, { max_tries: tries }: Params): Warning[] {
  return fallbacks === 0
    ? []
    : [{
        code: 'segment_fallback',
        message: `${fallbacks} of ${segments} segments were the best of ${tries} tries, none of which was accepted`
      }]
}

/** Draws n answers segment by segment, side by side; text is sent as its segment is accepted. */
export const segmentRejection: Strategy<Params> = async function * (request, params) {
  const decoding = new Decoding(request)
  const { answers, threshold } = await openAnswers(decoding, params)
  yield * eventsOf(tell => Promise.all(answers.map(async (segmented, index) => {
    const stream = new TextStream(index)
    while (!segmented.answer.isFinished && !segmented.decoding.budget.isUsedUp()) {
      tell(reported(await segmented.extend()))
      request.journal?.step(segmented.segments, [segmented.answer], [],
        { bound: segmented.bound })
      tell(stream.next(segmented.answer.certainText, segmented.answer.logprobs))
    }
    await segmented.end()
    tell(reported([segmented.answer]))
    tell(stream.finish(segmented.answer.choice()))
  })))
  const total = (count: 'segments' | 'tries' | 'fallbacks'): number =>
    answers.reduce((sum, answer) => sum + answer[count], 0)
  const [segments, fallbacks] = [total('segments'), total('fallbacks')]
  const reports = answers.flatMap(answer => answer.reports()).sort((a, b) => a.index - b.index)
  yield decoding.end(reports, answers.map(({ answer }) => answer.choice()), unknownKl, {
    warnings: warningsOf(fallbacks, segments, params),
    details: { segments, tries: total('tries'), fallbacks, threshold }
  })
}
