/** How fake engines draw: over a toy policy, with the order of filters that engines have. Knows no protocol. */
import type { Distribution } from '../../src/engine/sequence.js'
import { TokenCounts, touchedLogits, type TouchedLogits } from '../../src/policies/logits-processors.js'
import { randomStream } from '../../src/policies/random-stream.js'
import { SamplingDistribution } from '../../src/policies/sampling-distribution.js'
import type { SamplingParams } from '../../src/policies/sampling-params.js'
import { drawGuided, guidedScores, type FakeHead } from './fake-guidance.js'
import { distributionOf } from './toy-policy.js'

export type Json = Record<string, any>

/** A policy of the tests behind an engine. */
export interface Toy {
  readonly logits: (tokens: readonly number[]) => number[]
  /** The engine's own end token. */
  readonly endToken: number
  readonly text: (token: number) => string
  readonly maxModelLen?: number
  /** Logprob of a token that lends its place to a head, after some tokens: the plugin of integrations/vllm. */
  readonly lent?: (tokens: readonly number[], token: number) => number
  /** The head by which that guides tokens. */
  readonly guide?: FakeHead
  /** Whether its logprobs are of the tempered distribution. */
  readonly tempersLogprobs?: boolean
}

/** @param raw fields by vLLM's names, for what `params` has not */
export interface Sampling { readonly params: SamplingParams, readonly ends: readonly number[], readonly raw: Json }

export interface Rated { readonly token_id: number, readonly logprob: number }
export interface Drawn extends Rated { readonly top: readonly Rated[], readonly finish: string | null }

/** The texts that a schema allows, of those that it knows: booleans and enumerations. */
function optionsOf (structure: Json | undefined): string[] | null {
  if (!structure) return null
  const schema = JSON.parse(structure['json'] as string) as Json
  if (schema['type'] === 'boolean') return ['true', 'false']
  return (schema['enum'] as unknown[]).map(one => JSON.stringify(one))
}

/** The tokens of one answer. */
export function * drawTokens (
  prompt: readonly number[], { params, ends, raw }: Sampling, toy: Toy
): Generator<Drawn> {
  const { maxModelLen = 64, text } = toy
  const random = randomStream(raw['seed'] as number ?? 0, 'engine')
  const counts = new TokenCounts(new Set(prompt))
  const tokens = [...prompt]
  const limit = Math.min(params.maxTokens, maxModelLen - prompt.length)
  const options = optionsOf(raw['structured_outputs'] as Json | undefined)
  let written = ''
  for (let count = 0; count < limit; count++) {
    const distribution =
      distributionOf(toy.logits(tokens), params.temperature, Math.max(128, raw['logprobs'] as number ?? 0))
    const masked = count < (raw['min_tokens'] ?? 0) ? [...ends, toy.endToken] : []
    const allowed = options && allowedOf(toy, options, written, distribution.size)
    const touched = touchedLogits(distribution, params, counts, masked)
    const drawnFrom = new SamplingDistribution(distribution, touched, params, allowed)
    const u = params.temperature === 0 ? null : random.next()
    const scores = guided(toy, { params, ends, raw }, distribution, touched, tokens, prompt.length)
    const token = scores ? drawGuided(scores, u) : u === null ? drawnFrom.argmax() : drawnFrom.draw(u)
    const rate = (one: number): Rated => {
      const { logits, logNormalizer, temperedLogNormalizer: tempered } = distribution
      const logprob = toy.tempersLogprobs && params.temperature > 0
        ? logits[one]! / params.temperature - tempered
        : logits[one]! - logNormalizer
      return { token_id: one, logprob: Math.max(-9999, logprob) }
    }
    const asked = raw['logprob_token_ids'] as number[] | undefined
    const top = asked ?? [...distribution.topIds].slice(0, raw['logprobs'] ?? 0)
    const isEnd = ends.includes(token)
    written += isEnd ? '' : text(token)
    const isStopped = count + 1 > (raw['min_tokens'] ?? 0) &&
      ((raw['stop'] ?? []) as string[]).some(stop => written.includes(stop))
    const finish = isEnd || isStopped ? 'stop' : count + 1 === limit ? 'length' : null
    const told = (one: number): Rated => asked ? { token_id: one, logprob: toy.lent!(tokens, one) } : rate(one)
    yield { ...rate(token), top: [rate(token), ...top.filter(one => one !== token).map(told)], finish }
    if (finish !== null) return
    tokens.push(token)
    counts.add(token)
  }
}

/** What the plugin has a token drawn from; null where the request asks for no guidance. */
function guided (
  { guide }: Toy, { params: { temperature }, ends, raw }: Sampling, { logits }: Distribution, touched: TouchedLogits,
  tokens: readonly number[], prompt: number
): ReturnType<typeof guidedScores> | null {
  const arguments_ = (raw['extra_args'] ?? raw['vllm_xargs']) as Json | undefined
  if (!guide || arguments_?.['fairlead_guide']?.[0] !== guide.name) return null
  const begun = arguments_['fairlead_answer_tokens'] as number ?? 0
  const sums = arguments_['fairlead_sums'] as number[] ?? [0]
  // The prompt's last token is the answer's last so far, which is read here, where there is one.
  const read = tokens.slice(begun > 0 ? prompt - 1 : prompt)
  return guidedScores(guide, arguments_['fairlead_strength'][0] as number, arguments_['fairlead_top_k'] as number, {
    logits: Array.from(logits, (logit, token) => touched.get(token) ?? logit),
    temperature,
    isEnd: token => ends.includes(token),
    count: Math.max(0, begun - 1) + read.length,
    sum: sums[0]! + read.reduce((sum, token) => sum + guide.value(token), 0)
  })
}

/** Tokens that go on towards one of some texts; where one is written, the end token. */
function allowedOf (
  toy: Toy, options: readonly string[], written: string, size: number
): Int32Array {
  const words = new Int32Array(Math.ceil(size / 32))
  for (let token = 0; token < size; token++) {
    const isAllowed = token === toy.endToken
      ? options.includes(written)
      : toy.text(token) !== '' &&
        options.some(option => option.startsWith(written + toy.text(token)))
    if (isAllowed) words[token >>> 5]! |= 1 << (token & 31)
  }
  return words
}
