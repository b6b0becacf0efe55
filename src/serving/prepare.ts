/**
 * From a request to what runs: renders and tokenises the prompt, resolves rewards, checks everything that needs the
 * model. Refuses with a RequestError, or never again.
 */
import { randomInt } from 'node:crypto'
import { minTemperature } from '../policies/sampling-params.js'
import { checkChoices, checkTemperature } from '../decoding/strategies/parameter-rules.js'
import { answersGrown, fanOut, probed } from '../decoding/strategies/request-size.js'
import type { SamplingParams } from '../policies/sampling-params.js'
import { checkNeeds } from '../decoding/strategies/policy-needs.js'
import { strategyFacts } from '../decoding/strategies/strategy-facts.js'
import type { AlignmentRequest, Context } from '../decoding/strategies/strategy-schemas.js'
import type { Need } from '../engine/kv/reservation.js'
import { RequestError } from '../errors.js'
import type { RequestScope, Room } from '../rewards/reward-kind.js'
import { policyInfo } from '../rewards/readable-policy.js'
import { resolveScorer, type ResolvedScorer } from '../rewards/resolve-scorer.js'
import type { RewardModel } from '../rewards/reward-models.js'
import { scoresShare } from '../rewards/kinds/rules/rules.js'
import type { Prompt } from '../rewards/scorer.js'
import { localCapabilities } from '../policies/local/local-policy.js'
import { refuse } from '../validation.js'
import type { Host } from './model-runtime.js'
import { checkTokens, inContext, readPrompt, tokensOf } from './prompt-reader.js'
import type { GenerateRequest, GrammarRequest } from './protocol.js'
import { truncated } from './truncation.js'

/** The prompt as one side of a contrast reads it. */
export interface ContrastPrompt {
  readonly tokens: readonly number[]
  /** Who reads it; null is the policy. */
  readonly reader: RewardModel | null
}

export interface Contrast { readonly toward: ContrastPrompt | null, readonly away: ContrastPrompt | null }

export interface PreparedRequest {
  readonly prompt: Prompt
  /** The prompt in the contexts that guidance contrasts; null for one that does not count. */
  readonly contrast: Contrast
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
  /** Whether sequences are probed, for which each must hold its prompt's KV itself. */
  readonly probed: boolean
  readonly need: Need
  /** What it takes in other models' engines. */
  readonly rooms: readonly Room[]
  readonly droppedMessages: number
  readonly grammar: GrammarRequest | null
  /** Tokens that the answer may repeat, the prompt's not among them; null where nothing is guessed. */
  readonly drafts: readonly number[] | null
}

/** RAD adds a probability: whatever lies outside [0, 1] it would cut off. */
function checkMethod (host: Host, alignment: AlignmentRequest): void {
  if (alignment.strategy !== 'token_guidance' || alignment.method !== 'rad') return
  const { rewards, reward_scale: scale } = alignment
  const isProbability = rewards.length === 1 && rewards[0]!.weight >= 0 && rewards[0]!.weight <= 1 && scale === 'raw' &&
    host.rewards.some(({ name, descriptor }) =>
      name === rewards[0]!.name && descriptor.kind === 'rule' && scoresShare(descriptor.rule))
  if (!isProbability) {
    throw new RequestError('invalid_request', 'alignment.method rad needs one reward from 0 to 1 (a rule other than ' +
      `length, raw, weight at most 1): it would cut off any other; got ${JSON.stringify(rewards)}, ${scale as string}`,
    { param: 'alignment.method' })
  }
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

/** The model that reads a context; null is the policy. @throws RequestError naming those there are */
function readerOf ({ contrastModels }: Host, { model: name }: Context, param: string): RewardModel | null {
  if (name === undefined) return null
  const found = contrastModels.get(name)
  if (found) return found
  const names = [...contrastModels.keys()]
  throw refuse(`${param}.model`, names.length === 0
    ? 'needs a server with contrast-models; this one has none for the model'
    : `must be one of ${names.join(', ')} (contrast-models)`, name)
}

/** The prompt in the contexts that a request contrasts. @throws RequestError for one that has no room for an answer */
function readContrast (host: Host, { alignment, prompt }: GenerateRequest): Contrast {
  const read = (side: 'toward' | 'away'): ContrastPrompt | null => {
    const context = alignment?.strategy === 'token_guidance' ? alignment.contrast?.[side] : null
    if (!context) return null
    const param = `alignment.contrast.${side}`
    const reader = readerOf(host, context, param)
    const { model } = reader ?? host
    const tokens = tokensOf({ model }, inContext(host, prompt, context, param))
    if (tokens.length >= model.contextLength) {
      throw new RequestError('context_length_exceeded', `${reader ? `${context.model}'s` : "This model's"} context ` +
        `length is ${model.contextLength} tokens; the prompt in the context ${param} has ${tokens.length}`, { param })
    }
    return { tokens, reader }
  }
  return { toward: read('toward'), away: read('away') }
}

/** A prompt that is read before the answer. */
interface OnePrompt {
  /** What holds it, for errors. */
  readonly source: string
  readonly tokens: number
  /** Whose context length bounds it, for errors, and how much that is. */
  readonly reader: string
  readonly limit: number
}

/** What a request reads before it answers. */
interface Reading {
  /** The prompt that leaves the answer least room. */
  readonly tightest: OnePrompt
  /** Of the longest of those that the policy reads. */
  readonly tokens: number
  /**
   * Whether its KV is stored once for all sequences. Reserved for as if it were not where there are several prompts.
   */
  readonly shared: boolean
}

function readingOf (
  { engine, model }: Host, { prompt: input, alignment }: GenerateRequest, wide: number, prompt: Prompt,
  contrast: Contrast
): Reading {
  const own = {
    source: 'messages' in input ? 'the messages have' : 'the prompt has',
    tokens: prompt.tokens.length,
    reader: "This model's",
    limit: model.contextLength,
    isPolicys: true
  }
  const contexts = (['toward', 'away'] as const).flatMap(side => {
    const context = contrast[side]
    if (!context) return []
    const name = alignment?.strategy === 'token_guidance' ? alignment.contrast?.[side]?.model : undefined
    return [{
      source: `the prompt in the context alignment.contrast.${side} has`,
      tokens: context.tokens.length,
      reader: name === undefined ? own.reader : `${name}'s`,
      limit: (context.reader?.model ?? model).contextLength,
      isPolicys: name === undefined
    }]
  })
  const all = [own, ...contexts]
  const tokens = Math.max(...all.filter(one => one.isPolicys).map(one => one.tokens))
  return {
    tightest: all.reduce((least, one) => one.limit - one.tokens < least.limit - least.tokens ? one : least),
    tokens,
    shared: contexts.length === 0 && probed(alignment) === 0 && engine.sharesPrompt(wide, tokens)
  }
}

/**
 * Positions of a sequence beyond the answer's last: one token is fed to score that is not returned, or some are probed.
 */
const beyondAnswer = ({ engine }: Host, alignment: AlignmentRequest | null): number =>
  probed(alignment) > 0 ? engine.profile.passes.maxProbeTokens : 1

/** Answer length: what was asked for, or as much as context, the operator's ceiling and KV allow. */
function answerLength (host: Host, request: GenerateRequest, n: number, reading: Reading): number {
  const { alignment } = request
  const { maxTokens: asked } = request.sampling
  const { tightest } = reading
  const ceiling = host.config.maxTokensPerRequest
  const grown = answersGrown(alignment, n)
  // A reward may read an end token after the last one.
  const room = tightest.limit - tightest.tokens - (alignment ? 1 : 0)
  const kvRoom = host.engine.roomPerSequence(fanOut(alignment, n), reading.tokens, reading.shared) -
    (alignment ? beyondAnswer(host, alignment) : 0)
  if (asked === null) {
    const most = Math.min(room, Math.floor(ceiling / grown), kvRoom)
    if (most >= 1) return most
    throw new RequestError('budget_exceeded', `${fanOut(alignment, n)} sequences with a prompt of ${reading.tokens} ` +
      `tokens leave no room for an answer: requests may reserve ${host.config.kvCacheBytes} bytes of KV ` +
      `(kv-cache-bytes) and generate ${ceiling} (max-tokens-per-request)`, { param: 'alignment' })
  }
  if (asked > room) {
    throw new RequestError('context_length_exceeded', `${tightest.reader} context length is ${tightest.limit} ` +
      `tokens; ${tightest.source} ${tightest.tokens} and max_tokens asks for ${asked}`, { param: 'max_tokens' })
  }
  if (grown * asked > ceiling) {
    throw new RequestError('budget_exceeded', `a request may generate ${ceiling} tokens (max-tokens-per-request); ` +
      `this one asks for ${grown} × ${asked} = ${grown * asked}`, { param: 'max_tokens' })
  }
  return asked
}

/** What contexts take in the engines of the models that read them. */
function contrastRooms ({ toward, away }: Contrast, n: number, maxTokens: number): Room[] {
  return [toward, away].flatMap(side =>
    side?.reader ? [{ model: side.reader, sequences: n, tokens: side.tokens.length + maxTokens }] : [])
}

/** Heads that read an end token fork what they score. */
function needOf (
  host: Host, { alignment, priority = 0 }: GenerateRequest, wide: number, reward: ResolvedScorer | null,
  reading: Reading, maxTokens: number
): Need {
  return {
    sequences: wide * (reward?.forks === true ? 2 : 1),
    promptTokens: reading.tokens,
    answerTokens: Math.min(host.model.contextLength - reading.tokens, maxTokens + beyondAnswer(host, alignment)),
    sharesPrompt: reading.shared,
    priority
  }
}

const messagesOf = ({ prompt }: GenerateRequest): number => 'messages' in prompt ? prompt.messages.length : 0

/** The request with a conversation that leaves room for the answer, where its caller wishes that. */
function withRoom (host: Host, request: GenerateRequest): GenerateRequest {
  const { prompt, sampling } = request
  return 'messages' in prompt && prompt.truncate
    ? { ...request, prompt: truncated(host, prompt, sampling.maxTokens) }
    : request
}

/**
 * Checks and prepares a request.
 * @param signal aborted when the request ends.
 * @throws RequestError for whatever the caller can mend
 */
export function prepare (host: Host, asked: GenerateRequest, signal: AbortSignal): PreparedRequest {
  const { alignment, sampling } = asked
  const temperature = sampling.temperature < minTemperature ? 0 : sampling.temperature
  const n = asked.bestOf ?? asked.n
  checkTokens(host, Object.keys(sampling.logitBias).map(Number), 'logit_bias')
  checkTokens(host, sampling.stopTokenIds, 'stop_token_ids')
  checkChoices(alignment, n)
  checkTemperature(alignment, temperature)
  checkNeeds(alignment, asked.grammar !== null, localCapabilities(host.model.config.layers))
  const request = withRoom(host, asked)
  const prompt = readPrompt(host, request.prompt)
  const contrast = readContrast(host, request)
  const wide = fanOut(alignment, n)
  const reading = readingOf(host, request, wide, prompt, contrast)
  const maxTokens = answerLength(host, request, n, reading)
  const reward = resolveReward(host, alignment, {
    width: wide * (1 + probed(alignment)),
    tokens: prompt.tokens.length + maxTokens,
    reader: host.reader,
    salt: request.cacheSalt,
    signal
  })
  return {
    prompt,
    contrast,
    alignment,
    reward,
    n,
    returned: request.n,
    sampling: { ...sampling, maxTokens, temperature },
    seed: request.seed ?? randomInt(2 ** 48 - 1),
    cacheSalt: request.cacheSalt,
    promptLogprobs: request.promptLogprobs,
    skipSpecialTokens: request.skipSpecialTokens,
    fanOut: wide,
    probed: probed(alignment) > 0,
    need: needOf(host, request, wide, reward, reading, maxTokens),
    rooms: [...reward?.rooms ?? [], ...contrastRooms(contrast, n, maxTokens)],
    droppedMessages: messagesOf(asked) - messagesOf(request),
    grammar: request.grammar,
    drafts: request.drafts ? host.model.tokenizer.encode(request.drafts.prediction) : null
  }
}
