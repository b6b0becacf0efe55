/** Runs one prepared request: admits it, gives the strategy its runtime, passes its events on, counts. Whatever happens, every sequence is closed. */
import { setMaxListeners } from 'node:events'
import { comparesAnswers } from '../decoding/parameters.js'
import { randomStream } from '../decoding/random.js'
import type { DecodeResult, Runtime } from '../decoding/runtime.js'
import { decode } from '../decoding/strategies.js'
import type { ComputeLedger } from '../engine/sequence.js'
import { IncrementalDetokenizer } from '../models/detokenizer.js'
import type { Host } from './host.js'
import { prepare, type PreparedRequest } from './prepare.js'
import type { GenerateRequest, GenerationEvent, GenerationStart, Usage } from './protocol.js'

const emptyLedger = (): ComputeLedger => ({ computedTokens: 0, cachedTokens: 0, forwardPasses: 0 })

/** What the answer itself took, and what was read again to score it. */
interface Ledgers { readonly policy: ComputeLedger, readonly reward: ComputeLedger }

function startOf ({ alignment, reward, sampling, seed, prompt }: PreparedRequest): GenerationStart {
  const { strategy, ...params } = alignment ?? { strategy: 'sample' }
  return { seed, strategy, resolved: { ...params, max_tokens: sampling.maxTokens }, rewardsUsed: reward?.scorer.used ?? [], promptTokens: prompt.tokens.length }
}

function runtimeOf (host: Host, { alignment, reward, sampling, seed, cacheSalt }: PreparedRequest, signal: AbortSignal, ledgers: Ledgers): Runtime {
  const { engine, model } = host
  const started = performance.now()
  const embeddingLayer = comparesAnswers(alignment) ? Math.round(model.config.layers / 2) : null
  const layers = [...new Set([...reward?.scorer.layers ?? [], ...embeddingLayer === null ? [] : [embeddingLayer]])]
  return {
    open: (tokens, options) => engine.open(tokens, { temperature: sampling.temperature, layers, salt: cacheSalt, signal, request: signal, ledger: options?.poolFrom === undefined ? ledgers.policy : ledgers.reward, ...options }),
    scorer: reward?.scorer ?? null,
    embeddingLayer,
    endTokens: model.tokenizer.endTokens,
    vocabularySize: model.tokenizer.vocabularySize,
    detokenizer: () => new IncrementalDetokenizer(token => model.tokenizer.tokenBytes(token)),
    tokenBytes: token => model.tokenizer.tokenBytes(token),
    random: path => randomStream(seed, path),
    signal,
    budget: { maxGeneratedTokens: alignment?.max_generated_tokens ?? null, deadlineMs: alignment?.deadline_ms ?? null },
    elapsedMs: () => performance.now() - started
  }
}

function usageOf ({ prompt, reward }: PreparedRequest, result: DecodeResult, { policy, reward: scoring }: Ledgers): Usage {
  const returned = result.choices.reduce((sum, choice) => sum + choice.completionTokens, 0)
  return {
    promptTokens: prompt.tokens.length,
    cachedTokens: policy.cachedTokens,
    computedPromptTokens: prompt.tokens.length - policy.cachedTokens,
    completionTokens: returned,
    generatedTokens: result.generatedTokens,
    returnedTokens: returned,
    discardedTokens: result.generatedTokens - returned,
    rewardTokens: result.rewardTokens + (reward?.ledger.rewardTokens ?? 0),
    rewardCachedTokens: scoring.cachedTokens,
    forwardPasses: policy.forwardPasses + scoring.forwardPasses
  }
}

/** Ends whatever the request opened, when it ends or its caller leaves. */
function requestScope (signal: AbortSignal): { signal: AbortSignal, end: () => void } {
  const controller = new AbortController()
  // Every sequence of the request listens.
  setMaxListeners(0, controller.signal)
  const leave = (): void => { controller.abort(signal.reason) }
  if (signal.aborted) leave()
  else signal.addEventListener('abort', leave, { once: true })
  return {
    signal: controller.signal,
    end: () => {
      signal.removeEventListener('abort', leave)
      controller.abort(new Error('the request has ended'))
    }
  }
}

/**
 * The events of one request: `start`, the strategy's own, `usage`.
 * @param signal aborting it closes the request's sequences at once
 * @throws RequestError for what the caller can mend; the signal's reason if it is aborted
 */
export async function * generate (host: Host, request: GenerateRequest, signal: AbortSignal): AsyncGenerator<GenerationEvent, void, undefined> {
  const prepared = prepare(host, request)
  const reservation = await host.engine.reserve(prepared.need, signal)
  const scope = requestScope(signal)
  const ledgers = { policy: emptyLedger(), reward: emptyLedger() }
  try {
    yield { type: 'start', start: startOf(prepared) }
    const runtime = runtimeOf(host, prepared, scope.signal, ledgers)
    for await (const event of decode(runtime, prepared.prompt, prepared.sampling, prepared.alignment, prepared.n)) {
      if (event.type !== 'end') {
        yield event
        continue
      }
      const result = { ...event.result, warnings: [...prepared.reward?.warnings ?? [], ...event.result.warnings] }
      yield { type: 'end', result }
      yield { type: 'usage', usage: usageOf(prepared, result, ledgers) }
    }
  } finally {
    scope.end()
    reservation.release()
  }
}
