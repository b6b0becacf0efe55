/** What strategies have in common: opening the prompt, growing candidates, streaming their text, the result. */
import type { Prompt } from '../rewards/scorer.js'
import { Budget } from './budget.js'
import { Candidate, type Generation } from './candidate.js'
import type { Choice, DecodeEvent, DecodeResult, KlReport, Runtime, SamplingParams, Warning } from './runtime.js'

export function startGeneration (runtime: Runtime, prompt: Prompt, sampling: SamplingParams): Generation {
  return { runtime, prompt, sampling, budget: new Budget(runtime), rewardTokens: 0 }
}

/**
 * Reads the prompt once and gives `count` candidates of it; candidate i draws from the stream of path i.
 * @param fanOut sequences that will go on from the prompt at the same time
 */
export async function openCandidates (generation: Generation, count: number, fanOut = count): Promise<Candidate[]> {
  const { runtime, prompt } = generation
  const root = runtime.open(prompt.tokens, { fanOut })
  const output = await root.output()
  return Array.from({ length: count }, (_, index) => {
    const path = String(index)
    // The last candidate takes the prompt's own sequence: with one candidate nothing is copied.
    return new Candidate(generation, index, path, runtime.random(path), index === count - 1 ? root : root.fork(), output)
  })
}

/** Sends a choice's text as it becomes certain. */
export class TextStream {
  readonly #choice: number
  #sent = 0
  #sentLogprobs = 0

  constructor (choice: number) { this.#choice = choice }

  /** The event for what is new in `text`, the certain text so far; null if nothing is. */
  next (text: string, logprobs: Choice['logprobs']): DecodeEvent | null {
    if (text.length <= this.#sent) return null
    const event: DecodeEvent = { type: 'text', choice: this.#choice, text: text.slice(this.#sent), logprobs: logprobs.slice(this.#sentLogprobs) }
    this.#sent = text.length
    this.#sentLogprobs = logprobs.length
    return event
  }
}

/** Events that hand over a finished choice: what of its text was not sent yet, and its end. */
export function * finishChoice (stream: TextStream, index: number, choice: Choice): Generator<DecodeEvent> {
  const rest = stream.next(choice.text, choice.logprobs)
  if (rest) yield rest
  yield { type: 'choice-end', choice: index, result: choice }
}

/** Closes a candidate's sequence: its KV is free at once. */
export function retire (candidate: Candidate): void { candidate.sequence.close() }

/** Scores candidates with the request's reward, in one call. */
export async function scoreAll ({ runtime, prompt }: Generation, candidates: readonly Candidate[]): Promise<void> {
  if (!runtime.scorer) throw new Error('the strategy needs a reward')
  const answers = await Promise.all(candidates.map(candidate => candidate.answer()))
  const scores = await runtime.scorer.score(prompt, answers)
  for (const [index, candidate] of candidates.entries()) candidate.score = scores[index]!
}

/** The end of a generation. @param candidates every one, chosen or not */
export function endEvent (generation: Generation, candidates: readonly Candidate[], choices: readonly Choice[], kl: KlReport, warnings: readonly Warning[] = []): DecodeEvent {
  const result: DecodeResult = {
    choices,
    kl,
    numUnique: new Set(candidates.map(candidate => candidate.text)).size,
    stoppedBy: generation.budget.stoppedBy,
    warnings,
    candidates: candidates.map(candidate => candidate.report()),
    generatedTokens: generation.budget.generatedTokens,
    rewardTokens: generation.rewardTokens
  }
  return { type: 'end', result }
}

/** Descending score, ties by lower index. */
export const byScore = (a: Candidate, b: Candidate): number => b.score!.value - a.score!.value || a.index - b.index
