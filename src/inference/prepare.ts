/**
 * From a request to what runs: renders and tokenises the prompt, resolves rewards, checks everything that needs the model. Refuses
 * with a RequestError, or never again.
 */
import { randomInt } from 'node:crypto'
import { answersGrown, checkChoices, fanOut } from '../decoding/parameters.js'
import type { SamplingParams } from '../decoding/runtime.js'
import { strategyFacts } from '../decoding/strategy-facts.js'
import type { AlignmentRequest } from '../decoding/strategy-schemas.js'
import type { Need } from '../engine/reservation.js'
import { RequestError } from '../errors.js'
import { policyInfo } from '../rewards/policy.js'
import { resolveScorer, type ResolvedScorer } from '../rewards/resolve.js'
import { scoresShare } from '../rewards/rules/rules.js'
import type { Prompt } from '../rewards/scorer.js'
import type { Host } from './host.js'
import { checkModel, checkTokens, readPrompt } from './prompt.js'
import type { GenerateRequest } from './protocol.js'

export interface PreparedRequest {
  readonly prompt: Prompt
  readonly sampling: SamplingParams
  readonly alignment: AlignmentRequest | null
  readonly reward: ResolvedScorer | null
  /** Answers to draw, or candidates to choose from. */
  readonly n: number
  /** Choices to return. */
  readonly returned: number
  readonly seed: number
  readonly cacheSalt: string
  readonly promptLogprobs: number | null
  readonly skipSpecialTokens: boolean
  /** Sequences that go on from the prompt at the same time, at most: decides whether they share its KV. */
  readonly fanOut: number
  readonly need: Need
}

/** RAD adds a probability: whatever lies outside [0, 1] it would cut off. */
function checkMethod (host: Host, alignment: AlignmentRequest): void {
  if (alignment.strategy !== 'token_guidance' || alignment.method !== 'rad') return
  const { rewards, reward_scale: scale } = alignment
  const isProbability = rewards.length === 1 && rewards[0]!.weight >= 0 && rewards[0]!.weight <= 1 && scale === 'raw' &&
    host.rewards.some(({ name, descriptor }) => name === rewards[0]!.name && descriptor.kind === 'rule' && scoresShare(descriptor.rule))
  if (!isProbability) throw new RequestError('invalid_request', `alignment.method rad needs one reward from 0 to 1 (a rule other than length, raw, weight at most 1): it would cut off any other; got ${JSON.stringify(rewards)}, ${scale as string}`, { param: 'alignment.method' })
}

function resolveReward (host: Host, alignment: AlignmentRequest | null): ResolvedScorer | null {
  if (!alignment || alignment.rewards.length === 0) return null
  const resolved = resolveScorer(host.rewards, {
    rewards: alignment.rewards,
    member: strategyFacts[alignment.strategy].member,
    scale: alignment.reward_scale as 'standardized' | 'raw',
    ...('allow_scope_mismatch' in alignment ? { allowScopeMismatch: alignment.allow_scope_mismatch } : {})
  }, policyInfo(host.model))
  checkMethod(host, alignment)
  return resolved
}

/** Answer length: what was asked for, or as much as context, the operator's ceiling and KV allow. */
function answerLength (host: Host, request: GenerateRequest, n: number, prompt: Prompt): number {
  const { alignment } = request
  const { maxTokens: asked } = request.sampling
  const ceiling = host.config.maxTokensPerRequest
  const grown = answersGrown(alignment, n)
  // A reward may read an end token after the last one.
  const room = host.model.contextLength - prompt.tokens.length - (alignment ? 1 : 0)
  const kvRoom = host.engine.roomPerSequence(fanOut(alignment, n), prompt.tokens.length) - (alignment ? 1 : 0)
  if (asked === null) {
    const most = Math.min(room, Math.floor(ceiling / grown), kvRoom)
    if (most >= 1) return most
    throw new RequestError('budget_exceeded', `${fanOut(alignment, n)} sequences with a prompt of ${prompt.tokens.length} tokens leave no room for an answer: requests may reserve ${host.config.kvCacheBytes} bytes of KV (kv-cache-bytes) and generate ${ceiling} (max-tokens-per-request)`, { param: 'alignment' })
  }
  if (asked > room) throw new RequestError('context_length_exceeded', `This model's context length is ${host.model.contextLength} tokens; the ${'messages' in request.prompt ? 'messages have' : 'prompt has'} ${prompt.tokens.length} and max_tokens asks for ${asked}`, { param: 'max_tokens' })
  if (grown * asked > ceiling) throw new RequestError('budget_exceeded', `a request may generate ${ceiling} tokens (max-tokens-per-request); this one asks for ${grown} × ${asked} = ${grown * asked}`, { param: 'max_tokens' })
  return asked
}

/** Heads that read an end token fork what they score, and one more token is fed to score than is returned. */
function needOf ({ model, engine }: Host, wide: number, reward: ResolvedScorer | null, prompt: Prompt, maxTokens: number): Need {
  const promptTokens = prompt.tokens.length
  return {
    sequences: wide * (reward?.forks === true ? 2 : 1),
    promptTokens,
    answerTokens: Math.min(model.contextLength - promptTokens, maxTokens + 1),
    sharesPrompt: engine.sharesPrompt(wide, promptTokens)
  }
}

/** Checks and prepares a request. @throws RequestError for whatever the caller can mend */
export function prepare (host: Host, request: GenerateRequest): PreparedRequest {
  const { alignment, sampling } = request
  const n = request.bestOf ?? request.n
  checkModel(host, request.model)
  checkTokens(host, Object.keys(sampling.logitBias).map(Number), 'logit_bias')
  checkTokens(host, sampling.stopTokenIds, 'stop_token_ids')
  checkChoices(alignment, n)
  const reward = resolveReward(host, alignment)
  const prompt = readPrompt(host, request.prompt)
  const maxTokens = answerLength(host, request, n, prompt)
  return {
    prompt,
    alignment,
    reward,
    n,
    returned: request.n,
    sampling: { ...sampling, maxTokens },
    seed: request.seed ?? randomInt(2 ** 48 - 1),
    cacheSalt: request.cacheSalt,
    promptLogprobs: request.promptLogprobs,
    skipSpecialTokens: request.skipSpecialTokens,
    fanOut: fanOut(alignment, n),
    need: needOf(host, fanOut(alignment, n), reward, prompt, maxTokens)
  }
}
