/**
 * Runs one prepared request: admits it, gives the strategy its policy, passes its events on, counts. Whatever happens,
 * every sequence is closed.
 */
import type { DecodeEvent } from '../decoding/events.js'
import type { ContrastContext, DecodingRequest } from '../decoding/request.js'
import type { Choice, DecodeResult } from '../decoding/result.js'
import { needsDistributions } from '../decoding/strategies/policy-needs.js'
import { comparesAnswers } from '../decoding/strategies/strategy-footprint.js'
import { decode } from '../decoding/strategies/strategies.js'
import { DraftingSequence, type DraftCounts } from '../engine/drafting-sequence.js'
import { PromptLookup } from '../engine/prompt-lookup.js'
import type { Reservation } from '../engine/model-runtime.js'
import type { ComputeLedger } from '../engine/sequence.js'
import { IncrementalDetokenizer } from '../models/tokenizer/detokenizer.js'
import type { Constraint } from '../policies/constraint.js'
import { openReadings } from '../policies/local/context-reading.js'
import { LocalPolicy } from '../policies/local/local-policy.js'
import { changesLogits } from '../policies/logits-processors.js'
import { randomStream } from '../policies/random-stream.js'
import { admit } from './admission.js'
import { keepBest } from './keep-best-of.js'
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

/** What strategies are given, on the engines of this process. */
function decodingRequest (
  served: ServedModel, prepared: PreparedRequest, constraint: Constraint | null, signal: AbortSignal, ledgers: Ledgers,
  used: DecodingRequest['used']
): DecodingRequest {
  const { alignment, contrast, reward, sampling, prompt, n, seed, fanOut, probed, drafts } = prepared
  const owned = { caller: prepared.caller, salt: prepared.cacheSalt, signal }
  const { engine, model } = served
  const started = performance.now()
  const embeddingLayer = comparesAnswers(alignment) ? Math.round(model.config.layers / 2) : null
  const layers = [...new Set([...reward?.scorer.layers ?? [], ...embeddingLayer === null ? [] : [embeddingLayer]])]
  const tokenBytes = (token: number): Uint8Array =>
    prepared.skipSpecialTokens ? model.tokenizer.tokenBytes(token) : model.tokenizer.writtenBytes(token)
  // Whoever looks at tokens of any rank in every step is given all logits at once.
  const listedLogits = !drafts && !constraint && !changesLogits(sampling) && !needsDistributions(alignment)
  const policy = new LocalPolicy(served.capabilities, {
    open: (tokens, options) => {
      // What is opened with a pool of its own is an answer that is read once more, to score it.
      const purpose =
        options?.poolFrom === undefined ? { ledger: ledgers.policy, fanOut, probed } : { ledger: ledgers.reward }
      const { temperature } = sampling
      const sequence = engine.open(tokens, { temperature, layers, listedLogits, ...owned, ...purpose, ...options })
      if (!drafts) return sequence
      return new DraftingSequence(sequence, {
        lookup: new PromptLookup([...drafts, ...tokens]),
        profile: engine.profile.drafts,
        // Nothing after the answer's last token is needed: verifying a draft there would be wasted.
        until: tokens.length + sampling.maxTokens - 1,
        pays: () => engine.isIdle,
        counts: ledgers.drafts
      })
    },
    sampling,
    layers,
    constraint,
    endTokens: model.tokenizer.endTokens,
    detokenizer: () => new IncrementalDetokenizer(tokenBytes),
    tokenBytes
  })
  const contextOf = (context: PromptReading | null): ContrastContext | null => context && {
    tokens: context.tokens,
    isForeign: context.reader !== null,
    open: count => openReadings(policy, (context.reader?.engine ?? engine).open(context.tokens,
      { ...owned, ledger: ledgers.reward, fanOut: count }), count)
  }
  return {
    policy,
    prompt,
    sampling,
    n,
    scorer: reward?.scorer ?? null,
    embeddingLayer,
    contrast: { toward: contextOf(contrast.toward), away: contextOf(contrast.away) },
    limits: { maxGeneratedTokens: alignment?.max_generated_tokens ?? null, deadlineMs: alignment?.deadline_ms ?? null },
    used,
    signal,
    random: path => randomStream(seed, path),
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
  const { prompt, sampling, alignment, n, returned, reward, cacheSalt: salt, caller } = prepared
  yield { type: 'start', start: startOf(prepared) }
  if (prepared.promptLogprobs !== null) {
    const logprobs = await promptLogprobs(served, prompt.tokens, prepared.promptLogprobs,
      { caller, salt, signal, ledger: ledgers.policy })
    yield { type: 'prompt', logprobs }
  }
  const events = sampling.maxTokens === 0
    ? nothingDrawn(n)
    : decode(decodingRequest(served, prepared, constraint, signal, ledgers, used), alignment)
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
 * @throws RequestError for a request that is invalid or cannot run; the signal's reason if it is aborted
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
    const prepared = await prepare(served, request, scope.signal)
    const { reward, grammar, admission } = prepared
    used.rewardSeconds = reward?.seconds ?? {}
    const constraint = grammar && await served.grammars.open(grammar.source,
      { param: grammar.param, caller: prepared.caller, signal: scope.signal })
    reserving = admit(served, admission, signal)
    yield { type: 'accepted', promptTokens: prepared.promptTokens }
    await reserving
    yield * run(served, prepared, constraint, scope.signal, ledgers, used)
  } finally {
    scope.end()
    reserving?.then(reservation => { reservation.release() }, () => {})
  }
}
