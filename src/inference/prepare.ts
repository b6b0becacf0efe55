/**
 * From a request to what runs: renders and tokenises the prompt, resolves rewards, checks everything that needs the model. Refuses
 * with a RequestError, or never again.
 */
import { randomInt } from 'node:crypto'
import { answersGrown, checkChoices, fanOut } from '../decoding/parameters.js'
import type { Runtime, SamplingParams } from '../decoding/runtime.js'
import { strategyFacts } from '../decoding/strategy-facts.js'
import type { AlignmentRequest } from '../decoding/strategy-schemas.js'
import type { Need } from '../engine/reservation.js'
import { RequestError } from '../errors.js'
import type { RequestScope } from '../rewards/kind.js'
import { policyInfo } from '../rewards/policy.js'
import { resolveScorer, type ResolvedScorer } from '../rewards/resolve.js'
import { scoresShare } from '../rewards/rules/rules.js'
import type { Prompt } from '../rewards/scorer.js'
import type { Host } from './host.js'
import { checkModel, checkTokens, inContext, readPrompt, tokensOf } from './prompt.js'
import type { GenerateRequest, GrammarRequest } from './protocol.js'
import { truncated } from './truncation.js'

export interface PreparedRequest {
  readonly prompt: Prompt
  /** The prompt in the contexts that guidance contrasts. */
  readonly contrast: Runtime['contrast']
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
  readonly droppedMessages: number
  readonly grammar: GrammarRequest | null
}

/** RAD adds a probability: whatever lies outside [0, 1] it would cut off. */
function checkMethod (host: Host, alignment: AlignmentRequest): void {
  if (alignment.strategy !== 'token_guidance' || alignment.method !== 'rad') return
  const { rewards, reward_scale: scale } = alignment
  const isProbability = rewards.length === 1 && rewards[0]!.weight >= 0 && rewards[0]!.weight <= 1 && scale === 'raw' &&
    host.rewards.some(({ name, descriptor }) => name === rewards[0]!.name && descriptor.kind === 'rule' && scoresShare(descriptor.rule))
  if (!isProbability) throw new RequestError('invalid_request', `alignment.method rad needs one reward from 0 to 1 (a rule other than length, raw, weight at most 1): it would cut off any other; got ${JSON.stringify(rewards)}, ${scale as string}`, { param: 'alignment.method' })
}

function resolveReward (host: Host, alignment: AlignmentRequest | null, scope: RequestScope): ResolvedScorer | null {
  if (!alignment || alignment.rewards.length === 0) return null
  const resolved = resolveScorer(host.rewards, {
    rewards: alignment.rewards,
    member: strategyFacts[alignment.strategy].member(alignment as never),
    scale: alignment.reward_scale as 'standardized' | 'raw',
    ...('allow_scope_mismatch' in alignment ? { allowScopeMismatch: alignment.allow_scope_mismatch } : {})
  }, policyInfo(host.model), scope)
  checkMethod(host, alignment)
  return resolved
}

/** The prompt in the contexts that a request contrasts. @throws RequestError for one that has no room for an answer */
function readContrast (host: Host, { alignment, prompt }: GenerateRequest): Runtime['contrast'] {
  const read = (side: 'toward' | 'away'): readonly number[] | null => {
    const context = alignment?.strategy === 'token_guidance' ? alignment.contrast?.[side] : null
    if (!context) return null
    const param = `alignment.contrast.${side}`
    const tokens = tokensOf(host, inContext(host, prompt, context, param))
    const limit = host.model.contextLength
    if (tokens.length >= limit) throw new RequestError('context_length_exceeded', `This model's context length is ${limit} tokens; the prompt in the context ${param} has ${tokens.length}`, { param })
    return tokens
  }
  return { toward: read('toward'), away: read('away') }
}

/** What a request reads before it answers: the longest of its prompts. */
interface Reading {
  /** What holds it, for errors. */
  readonly source: string
  readonly tokens: number
  /** Whether its KV is stored once for all sequences. Reserved for as if it were not where there are several prompts. */
  readonly shared: boolean
}

function readingOf ({ engine }: Host, { prompt: input }: GenerateRequest, wide: number, prompt: Prompt, { toward, away }: Runtime['contrast']): Reading {
  const own = { source: 'messages' in input ? 'the messages have' : 'the prompt has', tokens: prompt.tokens.length }
  const contexts = [['toward', toward], ['away', away]] as const
  const longest = contexts.reduce((most, [side, tokens]) => tokens && tokens.length > most.tokens ? { source: `the prompt in the context alignment.contrast.${side} has`, tokens: tokens.length } : most, own)
  return { ...longest, shared: !toward && !away && engine.sharesPrompt(wide, longest.tokens) }
}

/** Answer length: what was asked for, or as much as context, the operator's ceiling and KV allow. */
function answerLength (host: Host, request: GenerateRequest, n: number, reading: Reading): number {
  const { alignment } = request
  const { maxTokens: asked } = request.sampling
  const ceiling = host.config.maxTokensPerRequest
  const grown = answersGrown(alignment, n)
  // A reward may read an end token after the last one.
  const room = host.model.contextLength - reading.tokens - (alignment ? 1 : 0)
  const kvRoom = host.engine.roomPerSequence(fanOut(alignment, n), reading.tokens, reading.shared) - (alignment ? 1 : 0)
  if (asked === null) {
    const most = Math.min(room, Math.floor(ceiling / grown), kvRoom)
    if (most >= 1) return most
    throw new RequestError('budget_exceeded', `${fanOut(alignment, n)} sequences with a prompt of ${reading.tokens} tokens leave no room for an answer: requests may reserve ${host.config.kvCacheBytes} bytes of KV (kv-cache-bytes) and generate ${ceiling} (max-tokens-per-request)`, { param: 'alignment' })
  }
  if (asked > room) throw new RequestError('context_length_exceeded', `This model's context length is ${host.model.contextLength} tokens; ${reading.source} ${reading.tokens} and max_tokens asks for ${asked}`, { param: 'max_tokens' })
  if (grown * asked > ceiling) throw new RequestError('budget_exceeded', `a request may generate ${ceiling} tokens (max-tokens-per-request); this one asks for ${grown} × ${asked} = ${grown * asked}`, { param: 'max_tokens' })
  return asked
}

/** Heads that read an end token fork what they score, and one more token is fed to score than is returned. */
function needOf ({ model }: Host, wide: number, reward: ResolvedScorer | null, reading: Reading, maxTokens: number): Need {
  return {
    sequences: wide * (reward?.forks === true ? 2 : 1),
    promptTokens: reading.tokens,
    answerTokens: Math.min(model.contextLength - reading.tokens, maxTokens + 1),
    sharesPrompt: reading.shared
  }
}

const messagesOf = ({ prompt }: GenerateRequest): number => 'messages' in prompt ? prompt.messages.length : 0

/** The request with a conversation that leaves room for the answer, where its caller wishes that. */
function withRoom (host: Host, request: GenerateRequest): GenerateRequest {
  const { prompt, sampling } = request
  return 'messages' in prompt && prompt.truncate ? { ...request, prompt: truncated(host, prompt, sampling.maxTokens) } : request
}

/** Checks and prepares a request. @param signal aborted when the request ends. @throws RequestError for whatever the caller can mend */
export function prepare (host: Host, asked: GenerateRequest, signal: AbortSignal): PreparedRequest {
  const { alignment, sampling } = asked
  const n = asked.bestOf ?? asked.n
  checkModel(host, asked.model)
  checkTokens(host, Object.keys(sampling.logitBias).map(Number), 'logit_bias')
  checkTokens(host, sampling.stopTokenIds, 'stop_token_ids')
  checkChoices(alignment, n)
  const request = withRoom(host, asked)
  const prompt = readPrompt(host, request.prompt)
  const contrast = readContrast(host, request)
  const wide = fanOut(alignment, n)
  const reading = readingOf(host, request, wide, prompt, contrast)
  const maxTokens = answerLength(host, request, n, reading)
  const reward = resolveReward(host, alignment, { width: wide, tokens: prompt.tokens.length + maxTokens, salt: request.cacheSalt, signal })
  return {
    prompt,
    contrast,
    alignment,
    reward,
    n,
    returned: request.n,
    sampling: { ...sampling, maxTokens },
    seed: request.seed ?? randomInt(2 ** 48 - 1),
    cacheSalt: request.cacheSalt,
    promptLogprobs: request.promptLogprobs,
    skipSpecialTokens: request.skipSpecialTokens,
    fanOut: wide,
    need: needOf(host, wide, reward, reading, maxTokens),
    droppedMessages: messagesOf(asked) - messagesOf(request),
    grammar: request.grammar
  }
}
