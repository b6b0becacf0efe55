/**
 * Runs one prepared request: admits it, gives the strategy its runtime, passes its events on, counts. Whatever happens,
 * every sequence is closed.
 */
import type { Constraint } from '../decoding/sampling/constraint.js'
import { comparesAnswers } from '../decoding/strategies/parameters.js'
import { randomStream } from '../decoding/sampling/random-stream.js'
import type { Choice, ContrastContext, DecodeEvent, DecodeResult, Runtime } from '../decoding/runtime.js'
import { decode } from '../decoding/strategies/strategies.js'
import { DraftingSequence, type DraftCounts } from '../engine/drafting-sequence.js'
import { PromptLookup } from '../engine/prompt-lookup.js'
import type { Reservation } from '../engine/model-runtime.js'
import type { ComputeLedger } from '../engine/sequence.js'
import { IncrementalDetokenizer } from '../models/tokenizer/detokenizer.js'
import { admit } from './admission.js'
import { keepBest } from './best-of.js'
import type { PromptReading } from './contrast-prompts.js'
import { prepare, type PreparedRequest } from './prepare.js'
import { promptLogprobs } from './prompt-logprobs.js'
import type { GenerateRequest, GenerationEvent, GenerationStart, Usage, Used } from './protocol.js'
import { requestScope } from './request-scope.js'
import type { ServedModel } from './served-models.js'

const emptyLedger = (): ComputeLedger => ({ computedTokens: 0, cachedTokens: 0, forwardPasses: 0 })

/** What the answer itself used, and what was read again to score it. */
interface Ledgers { readonly policy: ComputeLedger, readonly reward: ComputeLedger, readonly drafts: DraftCounts }

function startOf ({ alignment, reward, sampling, seed, prompt, droppedMessages }: PreparedRequest): GenerationStart {
  const { strategy, ...params } = alignment ?? { strategy: 'sample' }
  return {
    seed,
    strategy,
    resolved: { ...params, max_tokens: sampling.maxTokens },
    rewardsUsed: reward?.scorer.used ?? [],
    promptText: prompt.text,
    promptTokenIds: prompt.tokens,
    droppedMessages
  }
}

function runtimeOf (
  served: ServedModel, {
    alignment, contrast, reward, sampling, skipSpecialTokens, seed, cacheSalt, fanOut, probed, drafts
  }: PreparedRequest, constraint: Constraint | null, signal: AbortSignal, ledgers: Ledgers, drawn: Runtime['drawn']
): Runtime {
  const { engine, model } = served
  const started = performance.now()
  const embeddingLayer = comparesAnswers(alignment) ? Math.round(model.config.layers / 2) : null
  const layers = [...new Set([...reward?.scorer.layers ?? [], ...embeddingLayer === null ? [] : [embeddingLayer]])]
  const tokenBytes = (token: number): Uint8Array =>
    skipSpecialTokens ? model.tokenizer.tokenBytes(token) : model.tokenizer.writtenBytes(token)
  const contextOf = (context: PromptReading | null): ContrastContext | null => context && {
    tokens: context.tokens,
    isForeign: context.reader !== null,
    open: fanOut => (context.reader?.engine ?? engine).open(context.tokens,
      { salt: cacheSalt, signal, ledger: ledgers.reward, fanOut })
  }
  return {
    open: (tokens, options) => {
      // What is opened with a pool of its own is an answer that is read once more, to score it.
      const purpose =
        options?.poolFrom === undefined ? { ledger: ledgers.policy, fanOut, probed } : { ledger: ledgers.reward }
      const sequence = engine.open(tokens,
        { temperature: sampling.temperature, layers, salt: cacheSalt, signal, ...purpose, ...options })
      if (!drafts) return sequence
      // What follows the answer's last token nobody asks, so that a guess of it would be checked in vain.
      const until = tokens.length + sampling.maxTokens - 1
      return new DraftingSequence(sequence,
        { lookup: new PromptLookup([...drafts, ...tokens]), until, pays: () => engine.isIdle, counts: ledgers.drafts })
    },
    contrast: { toward: contextOf(contrast.toward), away: contextOf(contrast.away) },
    scorer: reward?.scorer ?? null,
    embeddingLayer,
    constraint,
    endTokens: model.tokenizer.endTokens,
    vocabularySize: model.tokenizer.vocabularySize,
    detokenizer: () => new IncrementalDetokenizer(tokenBytes),
    tokenBytes,
    random: path => randomStream(seed, path),
    signal,
    budget: { maxGeneratedTokens: alignment?.max_generated_tokens ?? null, deadlineMs: alignment?.deadline_ms ?? null },
    drawn,
    elapsedMs: () => performance.now() - started
  }
}

function usageOf (
  { prompt, promptLogprobs, reward }: PreparedRequest, result: DecodeResult,
  { policy, reward: scoring, drafts }: Ledgers
): Usage {
  // Read for its logprobs, a prompt is computed whole; the answer finds it cached.
  const cachedTokens = promptLogprobs === null ? policy.cachedTokens : 0
  const returned = result.choices.reduce((sum, choice) => sum + choice.completionTokens, 0)
  return {
    promptTokens: prompt.tokens.length,
    cachedTokens,
    computedPromptTokens: prompt.tokens.length - cachedTokens,
    completionTokens: returned,
    generatedTokens: result.generatedTokens,
    returnedTokens: returned,
    discardedTokens: result.generatedTokens - returned,
    rewardTokens: result.rewardTokens + (reward?.ledger.rewardTokens ?? 0),
    rewardCachedTokens: scoring.cachedTokens,
    forwardPasses: policy.forwardPasses + scoring.forwardPasses,
    acceptedDrafts: drafts.accepted,
    rejectedDrafts: drafts.rejected
  }
}

/** The events of a request that only reads its prompt. */
function * nothingDrawn (n: number): Generator<DecodeEvent> {
  const empty = { text: '', finishReason: 'length', logprob: 0, score: null } as const
  const choices = Array.from({ length: n },
    (_, index): Choice => ({ ...empty, candidateIndex: index, completionTokens: 0, logprobs: [], tokenIds: [] }))
  for (const [index, result] of choices.entries()) yield { type: 'choice-end', choice: index, result }
  yield {
    type: 'end',
    result: {
      choices,
      kl: { value: null, kind: null },
      numUnique: 1,
      stoppedBy: null,
      warnings: [],
      details: {},
      candidates: choices.map(({ candidateIndex }) => ({
        ...empty, index: candidateIndex, parent: null, tokens: 0, prunedAt: null
      })),
      generatedTokens: 0,
      rewardTokens: 0
    }
  }
}

/** The events of a request that was admitted. */
async function * run (
  served: ServedModel, prepared: PreparedRequest, constraint: Constraint | null, signal: AbortSignal, ledgers: Ledgers,
  used: Used
): AsyncGenerator<GenerationEvent, void, undefined> {
  const { prompt, sampling, alignment, n, returned, reward, cacheSalt: salt } = prepared
  yield { type: 'start', start: startOf(prepared) }
  if (prepared.promptLogprobs !== null) {
    const logprobs = await promptLogprobs(served, prompt.tokens, prepared.promptLogprobs,
      { salt, signal, ledger: ledgers.policy })
    yield { type: 'prompt', logprobs }
  }
  const runtime = runtimeOf(served, prepared, constraint, signal, ledgers, used)
  const events = sampling.maxTokens === 0 ? nothingDrawn(n) : decode(runtime, prompt, sampling, alignment, n)
  for await (const event of events) {
    if (event.type !== 'end') {
      yield event
      continue
    }
    const result = {
      ...event.result,
      choices: keepBest(event.result.choices, returned),
      warnings: [...reward?.warnings ?? [], ...event.result.warnings]
    }
    yield { type: 'end', result }
    yield { type: 'usage', usage: usageOf(prepared, result, ledgers) }
  }
}

/**
 * The events of one request: `accepted`, `start`, the strategy's own, `usage`.
 * @param signal aborting it closes the request's sequences at once
 * @param used counts what the request uses as it uses it, for those that do not come to their end
 * @throws RequestError for what the caller can mend; the signal's reason if it is aborted
 */
export async function * generate (
  served: ServedModel, request: GenerateRequest, signal: AbortSignal,
  used: Used = { generatedTokens: 0, rewardSeconds: {} }
): AsyncGenerator<GenerationEvent, void, undefined> {
  const scope = requestScope(signal)
  const ledgers = { policy: emptyLedger(), reward: emptyLedger(), drafts: { accepted: 0, rejected: 0 } }
  let reserving: Promise<Reservation> | null = null
  try {
    await served.loadRewards(request.alignment?.rewards ?? [])
    const prepared = prepare(served, request, scope.signal)
    const { reward, grammar, admission } = prepared
    used.rewardSeconds = reward?.seconds ?? {}
    const constraint = grammar && await served.grammars.open(grammar.text, grammar.param, scope.signal)
    reserving = admit(served, admission, signal)
    yield { type: 'accepted' }
    await reserving
    yield * run(served, prepared, constraint, scope.signal, ledgers, used)
  } finally {
    scope.end()
    reserving?.then(reservation => { reservation.release() }, () => {})
  }
}
