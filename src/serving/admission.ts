/**
 * Admission: the KV that a request can come to hold, planned before anything runs. Requests reserve their whole plan,
 * in every engine, so that none is stuck half-way.
 */
import type { Config } from '../settings.js'
import { answersGrown, fanOut, probed } from '../decoding/strategies/strategy-footprint.js'
import type { AlignmentRequest } from '../decoding/strategies/strategy-schemas.js'
import type { KvBudget, KvDemand, ModelRuntime, Reservation, RuntimeDemand } from '../engine/model-runtime.js'
import { RequestError } from '../errors.js'
import type { ModelFacts } from '../models/model.js'
import type { ResolvedScorer } from '../rewards/resolve-scorer.js'
import type { Contrast, PromptReading } from './contrast-prompts.js'
import type { GenerateRequest } from './protocol.js'

/** A model on an engine elsewhere: its budget counts answers that grow at the same time. */
interface RemotePlanned {
  readonly model: Pick<ModelFacts, 'contextLength'>
  readonly engine?: undefined
  readonly kvBudget: KvBudget
}

/** The model that runs a request, under the operator's ceilings. */
type Planned =
  (ModelRuntime | RemotePlanned) & { readonly config: Pick<Config, 'maxTokensPerRequest' | 'kvCacheBytes'> }

/** How wide and how long a request can become: what follows from the request and its prompts. */
export interface RequestSize {
  /** Choices to draw. */
  readonly n: number
  /** Sequences that go on from the prompt at the same time, at most: decides whether they share its KV. */
  readonly fanOut: number
  /** Tokens of the longest prompt that the served model reads. */
  readonly promptTokens: number
  /** Whether the prompt's KV is stored once for all sequences. Never where there are several prompts. */
  readonly sharesPrompt: boolean
  /** Longest answer, tokens. */
  readonly maxTokens: number
}

/** All that a request can come to hold, reserved before it starts. */
export interface AdmissionPlan extends RequestSize {
  /** In the engine of the served model; null where it runs nothing itself. */
  readonly demand: KvDemand | null
  /** What rewards and contrasts hold beside that, in any engine: the rows that they read. */
  readonly beside: readonly RuntimeDemand[]
  /** Whose turn it takes, in every engine. */
  readonly turn: Pick<KvDemand, 'caller' | 'priority'>
}

/**
 * Positions of a sequence beyond the answer's last: one token is fed to score that is not returned, or some are probed.
 */
const beyondAnswer = ({ engine }: ModelRuntime | RemotePlanned, alignment: AlignmentRequest | null): number =>
  engine && probed(alignment) > 0 ? engine.profile.passes.maxProbeTokens : 1

/** Tokens that each of a request's sequences can grow by, if it is alone in the engine: at least 0. */
function tokensPerSequence (
  { engine, kvBudget: { maxTokens }, model: { contextLength } }: ModelRuntime | RemotePlanned,
  { fanOut, promptTokens, sharesPrompt }: Omit<RequestSize, 'n' | 'maxTokens'>
): number {
  if (!engine) return contextLength - promptTokens
  const each = sharesPrompt ? (maxTokens - promptTokens) / fanOut : maxTokens / fanOut - promptTokens
  return Math.max(0, Math.min(Math.floor(each), contextLength - promptTokens))
}

/** The longest answer: what was asked for, or as much as context, the operator's ceiling and KV allow. */
function answerLength (
  served: Planned, { alignment, sampling: { maxTokens: asked } }: GenerateRequest,
  size: Omit<RequestSize, 'maxTokens'>, readings: readonly PromptReading[]
): number {
  const { maxTokensPerRequest: ceiling, kvCacheBytes } = served.config
  const limitOf = ({ reader }: PromptReading): number => (reader ?? served).model.contextLength
  const leftOf = (reading: PromptReading): number => limitOf(reading) - reading.tokens.length
  const tightest = readings.reduce((least, one) => leftOf(one) < leftOf(least) ? one : least)
  const grown = answersGrown(alignment, size.n)
  // A reward may read an end token after the last one.
  const inContext = leftOf(tightest) - (alignment ? 1 : 0)
  if (asked === null) {
    const inKv = tokensPerSequence(served, size) - (alignment ? beyondAnswer(served, alignment) : 0)
    const most = Math.min(inContext, Math.floor(ceiling / grown), inKv)
    if (most >= 1) return most
    throw new RequestError('budget_exceeded', `${size.fanOut} sequences with a prompt of ${size.promptTokens} tokens ` +
      `leave no room for an answer: requests may reserve ${kvCacheBytes} bytes of KV (kv-cache-bytes) and generate ` +
      `${ceiling} (max-tokens-per-request)`, { param: 'alignment' })
  }
  if (asked > inContext) {
    throw new RequestError('context_length_exceeded', `${tightest.readerName} context length is ` +
      `${limitOf(tightest)} tokens; ${tightest.source} ${tightest.tokens.length} and max_tokens asks for ${asked}`,
    { param: 'max_tokens' })
  }
  if (grown * asked > ceiling) {
    throw new RequestError('budget_exceeded', `a request may generate ${ceiling} tokens (max-tokens-per-request); ` +
      `this one asks for ${grown} × ${asked} = ${grown * asked}`, { param: 'max_tokens' })
  }
  return asked
}

/**
 * How wide and how long a request can become.
 * @param readings of its prompts, at least one
 * @throws RequestError `context_length_exceeded` or `budget_exceeded` where there is no room for the answer
 */
export function sizeOf (
  served: Planned, request: GenerateRequest, readings: readonly PromptReading[]
): RequestSize {
  const { alignment } = request
  const n = request.bestOf ?? request.n
  const promptTokens = Math.max(...readings.filter(({ reader }) => reader === null).map(({ tokens }) => tokens.length))
  const width = fanOut(alignment, n)
  const { engine } = served
  const sharesPrompt = readings.length === 1 && engine !== undefined &&
    (engine.sharesForks || (probed(alignment) === 0 && engine.sharesPrompt(width, promptTokens)))
  const size = { n, fanOut: width, promptTokens, sharesPrompt }
  return { ...size, maxTokens: answerLength(served, request, size, readings) }
}

/**
 * What a request reserves.
 * @param reward opened for the request; null for none
 */
export function planAdmission (
  runtime: ModelRuntime | RemotePlanned, { alignment, caller = '', priority = 0 }: GenerateRequest, size: RequestSize,
  reward: Pick<ResolvedScorer, 'forks' | 'demands'> | null, { toward, away }: Contrast
): AdmissionPlan {
  const { n, promptTokens, sharesPrompt, maxTokens } = size
  const grown =
    Math.min(runtime.model.contextLength - promptTokens, maxTokens + beyondAnswer(runtime, alignment))
  const contexts = [toward, away].flatMap(context => context?.reader
    ? [{ runtime: context.reader, sequences: n, tokens: context.tokens.length + maxTokens }]
    : [])
  return {
    ...size,
    demand: runtime.engine
      ? {
          // Heads that read an end token fork what they score.
          sequences: size.fanOut * (reward?.forks === true ? 2 : 1),
          tokens: sharesPrompt ? grown : promptTokens + grown,
          sharedTokens: sharesPrompt ? promptTokens : 0
        }
      // More than may run there wait for each other, call by call.
      : { sequences: Math.min(size.fanOut, runtime.kvBudget.maxTokens), tokens: 1 },
    beside: [...reward?.demands ?? [], ...contexts],
    turn: { caller, priority }
  }
}

/**
 * Several demands on one engine as one: concurrent sequences, all of the longest one's length, capped by the KV budget.
 */
function together ({ kvBudget }: ModelRuntime, demands: readonly RuntimeDemand[]): KvDemand {
  const tokens = Math.max(...demands.map(demand => demand.tokens))
  const sequences = demands.reduce((sum, demand) => sum + demand.sequences, 0)
  return { tokens, sequences: Math.max(1, Math.min(sequences, Math.floor(kvBudget.maxTokens / tokens))) }
}

/**
 * Reserves a plan: in the served model's engine, then in the others, always in one order, so that no two requests wait
 * for each other.
 * @throws RequestError at once what the served model's budget refuses
 */
export function admit (
  served: Pick<ModelRuntime | RemotePlanned, 'engine' | 'kvBudget'>,
  { demand, beside, turn }: Pick<AdmissionPlan, 'demand' | 'beside' | 'turn'>,
  signal: AbortSignal
): Promise<Reservation> {
  const held: Reservation[] = []
  const release = (): void => { for (const reservation of held) reservation.release() }
  const isOwn = ({ runtime }: RuntimeDemand): boolean => runtime.engine === served.engine
  const extraTokens = beside.filter(isOwn).reduce((sum, { sequences, tokens }) => sum + sequences * tokens, 0)
  const own = demand || extraTokens > 0
    ? served.kvBudget.reserve({ sequences: 0, tokens: 0, ...demand, extraTokens, ...turn }, signal)
    : null
  const reserveAll = async (): Promise<Reservation> => {
    if (own) held.push(await own)
    const others = beside.filter(one => !isOwn(one))
    const runtimes = [...new Set(others.map(({ runtime }) => runtime))].sort((a, b) => a.order - b.order)
    for (const runtime of runtimes) {
      const wanted = together(runtime, others.filter(other => other.runtime === runtime))
      held.push(await runtime.kvBudget.reserve({ ...wanted, ...turn }, signal))
    }
    return { release }
  }
  return reserveAll().catch((error: unknown) => {
    release()
    throw error
  })
}
