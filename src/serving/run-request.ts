/**
 * Runs one prepared request: admits it, gives the strategy its policy, passes its events on, counts. Whatever happens,
 * every sequence is closed.
 */
import type { DecodeEvent } from '../decoding/events.js'
import type { DecodingRequest } from '../decoding/request.js'
import type { Choice, DecodeResult } from '../decoding/result.js'
import { decode } from '../decoding/strategies/strategies.js'
import type { Reservation } from '../engine/model-runtime.js'
import type { ComputeLedger } from '../engine/sequence.js'
import type { Constraint } from '../policies/constraint.js'
import { emptyEngineLedger, type EngineLedger } from '../policies/remote/remote-request.js'
import { randomStream } from '../policies/random-stream.js'
import { admit } from './admission.js'
import { keepBest } from './keep-best-of.js'
import { localDecoding, type LocalLedgers } from './local-decoding.js'
import { prepare, type PreparedRequest } from './prepare.js'
import { promptLogprobs } from './prompt-logprobs.js'
import type { GenerateRequest, GenerationEvent, GenerationStart, Usage, Used } from './protocol.js'
import { engineUsage, remoteDecoding } from './remote-decoding.js'
import { requestScope } from './request-scope.js'
import { localOf, type ServedModel } from './served-models.js'

const emptyLedger = (): ComputeLedger => ({ computedTokens: 0, cachedTokens: 0, forwardPasses: 0 })

/** What the engines of this process used, and one elsewhere. */
interface Ledgers extends LocalLedgers { readonly engine: EngineLedger }

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

/** What strategies are given. */
function decodingRequest (
  served: ServedModel, prepared: PreparedRequest, constraint: Constraint | null, signal: AbortSignal, ledgers: Ledgers,
  used: DecodingRequest['used']
): DecodingRequest {
  const { alignment, reward, sampling, prompt, n, seed } = prepared
  const started = performance.now()
  return {
    ...served.remote
      ? remoteDecoding(served, prepared, signal, ledgers)
      : localDecoding(served, prepared, constraint, signal, ledgers),
    prompt,
    sampling,
    n,
    scorer: reward?.scorer ?? null,
    limits: { maxGeneratedTokens: alignment?.max_generated_tokens ?? null, deadlineMs: alignment?.deadline_ms ?? null },
    used,
    signal,
    random: path => randomStream(seed, path),
    elapsedMs: () => performance.now() - started
  }
}

function usageOf (
  { prompt, promptLogprobs, reward }: PreparedRequest, result: DecodeResult, isRemote: boolean,
  { policy, reward: scoring, drafts, engine }: Ledgers
): Usage {
  // Read for its logprobs, a prompt is computed whole; the answer finds it cached.
  const own = promptLogprobs === null ? policy.cachedTokens : 0
  const cachedTokens = isRemote ? Math.min(engine.cachedPromptTokens ?? 0, prompt.tokens.length) : own
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
    engine: isRemote ? engineUsage(engine) : null,
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
    const local = localOf(served, 'prompt_logprobs', 'logprobs of prompts')
    const logprobs = await promptLogprobs(local, prompt.tokens, prepared.promptLogprobs,
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
    yield { type: 'usage', usage: usageOf(prepared, result, served.remote !== null, ledgers) }
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
  const ledgers = {
    policy: emptyLedger(),
    reward: emptyLedger(),
    drafts: { accepted: 0, rejected: 0 },
    engine: emptyEngineLedger()
  }
  let reserving: Promise<Reservation> | null = null
  try {
    await served.loadRewards(request.alignment?.rewards ?? [])
    const prepared = await prepare(served, request, scope.signal)
    const { reward, grammar, admission } = prepared
    used.rewardSeconds = reward?.seconds ?? {}
    const constraint = grammar && served.remote === null
      ? await served.grammars.open(grammar.source,
        { param: grammar.param, caller: prepared.caller, signal: scope.signal })
      : null
    reserving = admit(served.remote ? { kvBudget: served.kvBudget } : served, admission, signal)
    yield { type: 'accepted', promptTokens: prepared.promptTokens }
    await reserving
    yield * run(served, prepared, constraint, scope.signal, ledgers, used)
  } finally {
    scope.end()
    reserving?.then(reservation => { reservation.release() }, () => {})
  }
}
