/** What strategies have in common: opening the prompt, scoring, streaming text, the result. */
import type { Output, Sequence } from '../engine/sequence.js'
import type { Prompt } from '../rewards/scorer.js'
import { Budget } from './budget.js'
import { Candidate, type Generation } from './candidate.js'
import type {
  CandidateReport, Choice, DecodeEvent, DecodeResult, KlReport, Runtime, SamplingParams
} from './runtime.js'

/** A generation that has drawn nothing yet. */
export function startGeneration (runtime: Runtime, prompt: Prompt, sampling: SamplingParams): Generation {
  return { runtime, prompt, sampling, budget: new Budget(runtime), rewardTokens: 0 }
}

/** The prompt, read. */
export interface OpenPrompt { readonly root: Sequence, readonly output: Output }

/** Reads the prompt once. */
export async function openPrompt ({ runtime, prompt }: Generation): Promise<OpenPrompt> {
  const root = runtime.open(prompt.tokens)
  return { root, output: await root.output() }
}

/**
 * Candidates that go on from the prompt; candidate i draws from the stream of path i.
 * @param takeRoot the last one takes the prompt's own sequence, which saves a copy and ends the prompt
 */
export function candidatesFrom (
  generation: Generation, { root, output }: OpenPrompt, first: number, count: number, takeRoot: boolean
): Candidate[] {
  return Array.from({ length: count }, (_, offset) => {
    const path = String(first + offset)
    return new Candidate(generation, first + offset, path, generation.runtime.random(path),
      takeRoot && offset === count - 1 ? root : root.fork(), output)
  })
}

/** Reads the prompt and gives `count` candidates of it. */
export async function openCandidates (generation: Generation, count: number): Promise<Candidate[]> {
  return candidatesFrom(generation, await openPrompt(generation), 0, count, true)
}

/** Sends a choice's text as it becomes certain. */
export class TextStream {
  readonly #choice: number
  #sent = 0
  #sentLogprobs = 0

  constructor (choice: number) { this.#choice = choice }

  /**
   * The event for what is new in `text`, the certain text so far; null if nothing is. Logprobs of tokens without text
   * wait for the next text.
   * @param isLast whether nothing follows, so that such logprobs are sent too
   */
  next (text: string, logprobs: Choice['logprobs'], isLast = false): DecodeEvent | null {
    if (text.length <= this.#sent && !(isLast && logprobs.length > this.#sentLogprobs)) return null
    const event: DecodeEvent = {
      type: 'text', choice: this.#choice, text: text.slice(this.#sent), logprobs: logprobs.slice(this.#sentLogprobs)
    }
    this.#sent = text.length
    this.#sentLogprobs = logprobs.length
    return event
  }
}

/** Events that hand over a finished choice: what of its text was not sent yet, and its end. */
export function * finishChoice (stream: TextStream, index: number, choice: Choice): Generator<DecodeEvent> {
  const rest = stream.next(choice.text, choice.logprobs, true)
  if (rest) yield rest
  yield { type: 'choice-end', choice: index, result: choice }
}

/** Ends a candidate that nothing more is drawn for: its KV is free at once. */
export function retire (candidate: Candidate): void { candidate.close() }

/** Reads what answers are like, where the request compares them. They must be finished, and not retired. */
export async function embed ({ runtime }: Generation, candidates: readonly Candidate[]): Promise<void> {
  const layer = runtime.embeddingLayer
  if (layer === null) return
  await Promise.all(candidates.map(async candidate => {
    // What was scored has been read to its end.
    if (!candidate.score) await candidate.answer()
    candidate.embedding = Float32Array.from(candidate.output.pooled(layer))
  }))
}

/** Scores candidates with the request's reward, in one call. */
export async function scoreAll ({ runtime, prompt }: Generation, candidates: readonly Candidate[]): Promise<void> {
  if (!runtime.scorer) throw new Error('the strategy needs a reward')
  const answers = await Promise.all(candidates.map(candidate => candidate.answer()))
  const scores = await runtime.scorer.score(prompt, answers)
  for (const [index, candidate] of candidates.entries()) candidate.score = scores[index]!
}

/** How far candidates are. @param dropped those that this step dropped */
export function progress (step: number, kept: readonly Candidate[], dropped: readonly Candidate[]): DecodeEvent {
  const of = (candidates: readonly Candidate[], isKept: boolean) =>
    candidates.map(({ index, parent, text, score, isFinished }) => ({
      index, parent, text, reward: score?.value ?? null, kept: isKept, finished: isFinished
    }))
  return { type: 'progress', step, candidates: [...of(kept, true), ...of(dropped, false)] }
}

/**
 * The end of a generation.
 * @param candidates every one, chosen or not, in index order
 */
export function endEvent (
  generation: Generation, candidates: readonly CandidateReport[], choices: readonly Choice[], kl: KlReport,
  { warnings = [], details = {} }: Partial<Pick<DecodeResult, 'warnings' | 'details'>> = {}
): DecodeEvent {
  const result: DecodeResult = {
    choices,
    kl,
    numUnique: new Set(candidates.map(candidate => candidate.text)).size,
    stoppedBy: generation.budget.stoppedBy,
    warnings,
    details,
    candidates,
    generatedTokens: generation.budget.generatedTokens,
    rewardTokens: generation.rewardTokens
  }
  return { type: 'end', result }
}

/** Descending score, ties by lower index; after all others those that were never begun. */
export const byScore = (a: Candidate, b: Candidate): number => Number(a.isUnbegun) - Number(b.isUnbegun) ||
  b.score!.value - a.score!.value || a.index - b.index

/** Candidates that may be chosen: of those that were never begun only as many as it takes to have `least`. */
export function eligible (candidates: readonly Candidate[], least = 1): Candidate[] {
  const begun = candidates.filter(candidate => !candidate.isUnbegun)
  const unbegun = candidates.filter(candidate => candidate.isUnbegun)
  return [...begun, ...unbegun.slice(0, Math.max(0, least - begun.length))]
}
