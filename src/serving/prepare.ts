/**
 * From a request to what runs: renders and tokenises its prompts, plans its admission, resolves its rewards. What it
 * lets through only its grammar, admission or a strategy's own rule can refuse.
 */
import { randomInt } from 'node:crypto'
import { checkNeeds } from '../decoding/strategies/policy-needs.js'
import { probed } from '../decoding/strategies/strategy-footprint.js'
import { strategyFacts } from '../decoding/strategies/strategy-facts.js'
import type { AlignmentRequest } from '../decoding/strategies/strategy-schemas.js'
import { RequestError } from '../errors.js'
import { isPenalized, type SamplingParams } from '../policies/sampling-params.js'
import { scoresShare } from '../rewards/kinds/rules/rules.js'
import { resolveScorer, type ResolvedScorer } from '../rewards/resolve-scorer.js'
import type { RequestScope } from '../rewards/reward-kind.js'
import type { Prompt } from '../rewards/scorer.js'
import { planAdmission, sizeOf, type AdmissionPlan } from './admission.js'
import { readContrast, readingsOf, type Contrast } from './contrast-prompts.js'
import { checkTokens } from './prompt-reader.js'
import type { JobOwner } from './prompt-thread.js'
import type { GenerateRequest } from './protocol.js'
import { checkContexts, checkPromptTokens } from './request-rules.js'
import { checkEngine, checkHeads } from './remote-rules.js'
import { policyOf, type ServedModel } from './served-models.js'

export interface PreparedRequest
  extends Pick<GenerateRequest, 'alignment' | 'cacheSalt' | 'grammar' | 'promptLogprobs' | 'skipSpecialTokens'> {
  readonly caller: string
  readonly prompt: Prompt
  /** Tokens of all its prompts: in contexts, too. */
  readonly promptTokens: number
  /** The prompt in the contexts that guidance contrasts. */
  readonly contrast: Contrast
  readonly sampling: SamplingParams
  readonly reward: ResolvedScorer | null
  /** Answers to draw, or candidates to choose from. */
  readonly n: number
  /** Choices to return. */
  readonly returned: number
  readonly seed: number
  /** Sequences that go on from the prompt at the same time, at most: decides whether they share its KV. */
  readonly fanOut: number
  /** Whether sequences are probed, for which each must hold its prompt's KV itself. */
  readonly probed: boolean
  readonly admission: AdmissionPlan
  readonly droppedMessages: number
  /** Tokens that the answer may repeat, the prompt's not among them; null where nothing is drafted. */
  readonly drafts: readonly number[] | null
}

/** RAD adds a probability: whatever lies outside [0, 1] it would cut off. */
function checkMethod ({ rewards: families }: ServedModel, alignment: AlignmentRequest): void {
  if (alignment.strategy !== 'token_guidance' || alignment.method !== 'rad') return
  const { rewards, reward_scale: scale } = alignment
  const isProbability = rewards.length === 1 && rewards[0]!.weight >= 0 && rewards[0]!.weight <= 1 && scale === 'raw' &&
    families.some(({ name, descriptor }) =>
      name === rewards[0]!.name && descriptor.kind === 'rule' && scoresShare(descriptor.rule))
  if (!isProbability) {
    throw new RequestError('invalid_request', 'alignment.method rad needs one reward from 0 to 1 (a rule other than ' +
      `length, raw, weight at most 1): it would cut off any other; got ${JSON.stringify(rewards)}, ${scale as string}`,
    { param: 'alignment.method' })
  }
}

function resolveReward (
  served: ServedModel, alignment: AlignmentRequest | null, scope: RequestScope
): ResolvedScorer | null {
  if (!alignment || alignment.rewards.length === 0) return null
  const resolved = resolveScorer(served.rewards, {
    rewards: alignment.rewards,
    member: strategyFacts[alignment.strategy].member(alignment as never),
    scale: alignment.reward_scale as 'standardized' | 'raw',
    ...('allow_scope_mismatch' in alignment ? { allowScopeMismatch: alignment.allow_scope_mismatch } : {})
  }, policyOf(served), scope)
  checkMethod(served, alignment)
  return resolved
}

const messagesOf = ({ prompt }: GenerateRequest): number => 'messages' in prompt ? prompt.messages.length : 0

/** The prompt, and the request with its conversation truncated to leave room for the answer, if that was asked for. */
async function readRequest (
  { model, prompts }: ServedModel, asked: GenerateRequest, owner: JobOwner
): Promise<{ prompt: Prompt, request: GenerateRequest }> {
  const { prompt, kept } =
    await prompts.run(model, 'prompt', { input: asked.prompt, maxTokens: asked.sampling.maxTokens }, owner)
  if (!kept) return { prompt, request: asked }
  const request = { ...asked, prompt: kept }
  // The message that a context changes may be among those left out.
  checkContexts(request)
  return { prompt, request }
}

/** Tokens that the answer may repeat. */
async function readDrafts (
  { model, prompts }: ServedModel, { drafts }: GenerateRequest, owner: JobOwner
): Promise<readonly number[] | null> {
  return drafts ? await prompts.run(model, 'text', { input: drafts.prediction, param: 'prediction' }, owner) : null
}

/**
 * Validates and prepares a request.
 * @param signal aborted when the request ends
 * @throws RequestError for an invalid request
 */
export async function prepare (
  served: ServedModel, asked: GenerateRequest, signal: AbortSignal
): Promise<PreparedRequest> {
  const { model } = served
  const { alignment, sampling, cacheSalt, caller = '', priority = 0 } = asked
  checkTokens(model, Object.keys(sampling.logitBias).map(Number), 'logit_bias')
  checkTokens(model, sampling.stopTokenIds, 'stop_token_ids')
  checkNeeds(alignment, asked.grammar !== null || isPenalized(sampling), served.capabilities)
  if (served.remote) checkEngine(served.remote, asked)
  const owner = { caller, priority, signal }
  const { prompt, request } = await readRequest(served, asked, owner)
  const contrast = await readContrast(served, request, owner)
  const readings = readingsOf(request.prompt, prompt, contrast)
  const promptTokens = readings.reduce((sum, { tokens }) => sum + tokens.length, 0)
  checkPromptTokens(served.config, promptTokens, 'prompt')
  const size = sizeOf(served, request, readings)
  const reward = resolveReward(served, alignment, {
    width: size.fanOut * (1 + probed(alignment)),
    tokens: prompt.tokens.length + size.maxTokens,
    reader: served.remote === null ? served : null,
    salt: cacheSalt,
    caller,
    signal
  })
  if (served.remote && reward && reward.scorer.layers.length > 0) checkHeads(asked)
  return {
    ...request,
    caller,
    promptTokens,
    prompt,
    contrast,
    reward,
    n: size.n,
    returned: request.n,
    sampling: { ...sampling, maxTokens: size.maxTokens },
    seed: request.seed ?? randomInt(2 ** 48 - 1),
    fanOut: size.fanOut,
    probed: probed(alignment) > 0,
    admission: planAdmission(served, request, size, reward, contrast),
    droppedMessages: messagesOf(asked) - messagesOf(request),
    drafts: await readDrafts(served, request, owner)
  }
}
