/** Between Fairlead's events and OpenAI's objects: the only place that knows both worlds. */
import { randomUUID } from 'node:crypto'
import type { CandidateReport, Choice, DecodeResult, RatedToken, TokenLogprob } from '../decoding/runtime.js'
import type { GenerationEvent, GenerationStart, ModelInfo, Usage } from '../inference/protocol.js'
import type { Score } from '../rewards/scorer.js'
import type { ChatCompletionRequest } from './schemas/chat-completion.js'

type Json = Record<string, unknown>

/** Rounded for reading; six digits are more than any of these figures has. */
const rounded = (value: number): number => Number(value.toFixed(6))

function rewardsOf (score: Score): Json {
  return Object.fromEntries(Object.entries(score.rewards).map(([name, { raw, standardized }]) => [name, { raw: rounded(raw), standardized: rounded(standardized) }]))
}

function scoreFields (score: Score | null): Json {
  return score ? { reward: rounded(score.value), rewards: rewardsOf(score) } : {}
}

function candidateOf (candidate: CandidateReport): Json {
  const { index, parent, text, tokens, finishReason, prunedAt, score, logprob } = candidate
  return { index, ...(parent === null ? {} : { parent }), text, tokens, finish_reason: finishReason, ...(prunedAt === null ? {} : { pruned_at: prunedAt }), ...scoreFields(score), logprob: rounded(logprob) }
}

function choiceAlignment ({ candidateIndex, score, logprob }: Choice): Json {
  return { ...scoreFields(score), candidate_index: candidateIndex, logprob: rounded(logprob) }
}

/** OpenAI's `usage` with the ledger of guidance: generated = returned + discarded. */
export function usageObject (usage: Usage): Json {
  return {
    prompt_tokens: usage.promptTokens,
    completion_tokens: usage.completionTokens,
    total_tokens: usage.promptTokens + usage.completionTokens,
    prompt_tokens_details: { cached_tokens: usage.cachedTokens },
    alignment_details: {
      generated_tokens: usage.generatedTokens,
      returned_tokens: usage.returnedTokens,
      discarded_tokens: usage.discardedTokens,
      reward_tokens: usage.rewardTokens,
      reward_cached_tokens: usage.rewardCachedTokens,
      computed_prompt_tokens: usage.computedPromptTokens,
      forward_passes: usage.forwardPasses
    }
  }
}

function alignmentObject (start: GenerationStart, result: DecodeResult, returnCandidates: boolean): Json {
  return {
    strategy: start.strategy,
    resolved: start.resolved,
    rewards_used: start.rewardsUsed,
    seed: start.seed,
    kl: { value: result.kl.value === null ? null : rounded(result.kl.value), kind: result.kl.kind },
    num_unique: result.numUnique,
    stopped_by: result.stoppedBy,
    warnings: result.warnings,
    ...(Object.keys(result.details).length === 0 ? {} : { details: result.details }),
    ...(returnCandidates ? { candidates: result.candidates.map(candidateOf) } : {})
  }
}

/** Makes one completion's objects: whole, or as chunks while events come. */
export class CompletionFormatter {
  readonly #request: ChatCompletionRequest
  readonly #head: Json
  #start: GenerationStart | null = null
  #result: DecodeResult | null = null
  #usage: Usage | null = null

  constructor (request: ChatCompletionRequest, model: ModelInfo) {
    this.#request = request
    this.#head = { id: `chatcmpl-${randomUUID()}`, created: Math.floor(Date.now() / 1000), model: model.id, system_fingerprint: model.fingerprint }
  }

  /** Remembers what whole objects are made of. */
  see (event: GenerationEvent): void {
    if (event.type === 'start') this.#start = event.start
    else if (event.type === 'end') this.#result = event.result
    else if (event.type === 'usage') this.#usage = event.usage
  }

  #logprobs (logprobs: readonly TokenLogprob[]): Json | null {
    if (this.#request.generate.sampling.topLogprobs === null) return null
    const token = ({ bytes, logprob }: RatedToken): Json => ({ token: Buffer.from(bytes).toString(), logprob, bytes })
    return { content: logprobs.map(one => ({ ...token(one), top_logprobs: one.top.map(token) })), refusal: null }
  }

  /** The `alignment` object of the response; null while nothing has ended. */
  alignment (): Json | null {
    return this.#start && this.#result ? alignmentObject(this.#start, this.#result, this.#request.returnCandidates) : null
  }

  /** A whole chat.completion, after the last event. */
  completion (): Json {
    const choices = (this.#result?.choices ?? []).map((choice, index) => ({
      index,
      message: { role: 'assistant', content: choice.text, refusal: null },
      logprobs: this.#logprobs(choice.logprobs),
      finish_reason: choice.finishReason,
      ...(this.#request.generate.alignment ? { alignment: choiceAlignment(choice) } : {})
    }))
    return {
      ...this.#head,
      object: 'chat.completion',
      choices,
      usage: this.#usage ? usageObject(this.#usage) : null,
      ...(this.#request.generate.alignment ? { alignment: this.alignment() } : {})
    }
  }

  #chunk (choices: readonly Json[], more: Json = {}): Json {
    return { ...this.#head, object: 'chat.completion.chunk', choices, ...(this.#request.includeUsage ? { usage: null } : {}), ...more }
  }

  /** The chunks that open a stream: the role of every choice. */
  roleChunks (): Json[] {
    return Array.from({ length: this.#request.generate.n }, (_, index) => this.#chunk([{ index, delta: { role: 'assistant', content: '' }, logprobs: null, finish_reason: null }]))
  }

  /** The chunks of an event. A choice's last chunk waits for the end of the generation, whose `alignment` it carries. */
  chunks (event: GenerationEvent): Json[] {
    this.see(event)
    switch (event.type) {
      case 'text':
        return [this.#chunk([{ index: event.choice, delta: { content: event.text }, logprobs: this.#logprobs(event.logprobs), finish_reason: null }])]
      case 'progress':
        return [this.#chunk([], { alignment: { progress: { step: event.step, candidates: event.candidates } } })]
      case 'choice-end':
        return this.#request.generate.alignment ? [] : [this.#finishChunk(event.choice, event.result)]
      case 'end':
        return this.#request.generate.alignment ? event.result.choices.map((choice, index) => this.#finishChunk(index, choice)) : []
      case 'usage':
        return this.#request.includeUsage ? [{ ...this.#chunk([]), usage: usageObject(event.usage) }] : []
      default:
        return []
    }
  }

  #finishChunk (index: number, choice: Choice): Json {
    if (!this.#request.generate.alignment) return this.#chunk([{ index, delta: {}, logprobs: null, finish_reason: choice.finishReason }])
    return this.#chunk([{ index, delta: {}, logprobs: null, finish_reason: choice.finishReason, alignment: choiceAlignment(choice) }], { alignment: this.alignment() })
  }
}

/** A candidate as WebSocket events report it. */
export const candidateObject = candidateOf
