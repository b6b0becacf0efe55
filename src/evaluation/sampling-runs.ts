/**
 * Samples answers from the policy, plain or steered, and reads the policy's log-probabilities of given ones. Knows
 * requests, not what they are for.
 */
import { parseAlignment } from '../decoding/strategies/parse-alignment.js'
import type { DecodeResult } from '../decoding/result.js'
import { plainSampling } from '../policies/sampling-params.js'
import { generate } from '../serving/run-request.js'
import type { LocalModel } from '../serving/served-models.js'
import { promptLogprobs } from '../serving/prompt-logprobs.js'
import { renderPrompt } from '../serving/prompt-reader.js'
import type { Usage } from '../serving/protocol.js'
import type { ChatMessage } from '../rewards/scorer.js'

/** How answers are sampled. */
export interface Configuration {
  /** Unique among the configurations of an evaluation; names its file. */
  readonly name: string
  /** System message; null for none. */
  readonly system: string | null
  /** As a request has it; null draws plainly. */
  readonly alignment: Readonly<Record<string, unknown>> | null
  /** Answers to each prompt and seed. */
  readonly answers: number
}

export interface DrawnAnswer {
  readonly text: string
  /** Tokens, end token included. */
  readonly tokens: number
  /** ln π(answer) under the policy without a system message, nats. */
  readonly logprob: number
}

/** The answers to one prompt with one seed. */
export interface SamplingRun {
  readonly prompt: string
  readonly seed: number
  readonly answers: readonly DrawnAnswer[]
  readonly generatedTokens: number
  readonly forwardPasses: number
  readonly kl: { readonly value: number | null, readonly kind: string | null }
  /** From the request to its end. */
  readonly ms: number
}

/** @param done of `total` in a phase */
export type OnProgress = (phase: string, done: number, total: number) => void

export const messagesOf = (prompt: string, system: string | null = null): ChatMessage[] =>
  [...system === null ? [] : [{ role: 'system', content: system }], { role: 'user', content: prompt }]

/**
 * Asks as a request would.
 * @param schema that answers are held to as JSON; null for none
 */
export async function ask (
  served: LocalModel, { system, alignment, answers }: Omit<Configuration, 'name'>, prompt: string, seed: number,
  limits: { readonly maxTokens: number, readonly ignoreEos?: boolean }, signal: AbortSignal,
  schema: object | null = null
): Promise<{ result: DecodeResult, usage: Usage }> {
  let [result, usage]: [DecodeResult?, Usage?] = []
  for await (const event of generate(served, {
    model: served.model.id,
    prompt: {
      messages: messagesOf(prompt, system), addGenerationPrompt: true, continueFinalMessage: false, truncate: false
    },
    promptLogprobs: null,
    bestOf: null,
    skipSpecialTokens: true,
    n: answers,
    seed,
    cacheSalt: '',
    grammar: schema && { source: { type: 'schema', json: JSON.stringify(schema), path: 'schema' }, param: 'schema' },
    alignment: alignment && parseAlignment(alignment),
    sampling: { ...plainSampling, ...limits }
  }, signal)) {
    if (event.type === 'end') result = event.result
    else if (event.type === 'usage') usage = event.usage
  }
  return { result: result!, usage: usage! }
}

/** ln π(answer's tokens | messages), nats, read through the policy; without an end token. */
async function readLogprob (
  served: LocalModel, messages: readonly ChatMessage[], answer: string, signal: AbortSignal
): Promise<number> {
  const { model, kvBudget } = served
  const prompt = renderPrompt(model, messages).tokens
  const tokens = [...prompt, ...model.tokenizer.encode(answer)]
  if (tokens.length === prompt.length) return 0
  const reservation = await kvBudget.reserve({ sequences: 1, tokens: tokens.length + 1 }, signal)
  try {
    const rated = await promptLogprobs(served, tokens, 0,
      { salt: '', signal, ledger: { computedTokens: 0, cachedTokens: 0, forwardPasses: 0 } })
    return rated.slice(prompt.length).reduce((sum, { logprob }) => sum + logprob!, 0)
  } finally {
    reservation.release()
  }
}

/**
 * Answers drawn under a system message: their log-probability under the policy without it, and the KL to it, as their
 * mean log-ratio.
 */
async function asPolicySees (
  served: LocalModel, { prompt, answers, ...draw }: SamplingRun, system: string, signal: AbortSignal
): Promise<SamplingRun> {
  const read = (messages: readonly ChatMessage[]): Promise<number[]> =>
    Promise.all(answers.map(({ text }) => readLogprob(served, messages, text, signal)))
  const [own, policy] = [await read(messagesOf(prompt, system)), await read(messagesOf(prompt))]
  const value = own.reduce((sum, logprob, index) => sum + logprob - policy[index]!, 0) / answers.length
  return {
    ...draw,
    prompt,
    answers: answers.map((answer, index) => ({ ...answer, logprob: policy[index]! })),
    kl: { value, kind: 'mean_log_ratio' }
  }
}

/**
 * Answers to one prompt.
 * @param schema that answers are held to as JSON; null for none
 * @throws RequestError as a request does; the signal's reason when it is aborted
 */
export async function draw (
  served: LocalModel, configuration: Configuration, prompt: string, seed: number, maxTokens: number,
  signal: AbortSignal,
  schema: object | null = null
): Promise<SamplingRun> {
  const started = performance.now()
  const { result, usage } = await ask(served, configuration, prompt, seed, { maxTokens }, signal, schema)
  const drawn: SamplingRun = {
    prompt,
    seed,
    answers: result.choices.map(({ text, completionTokens, logprob }) => ({ text, tokens: completionTokens, logprob })),
    generatedTokens: usage.generatedTokens,
    forwardPasses: usage.forwardPasses,
    kl: result.kl,
    ms: performance.now() - started
  }
  return configuration.system === null ? drawn : asPolicySees(served, drawn, configuration.system, signal)
}
