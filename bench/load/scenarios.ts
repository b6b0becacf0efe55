/** What is asked: each scenario is a kind of request, and what it takes. */
import type { Fanout } from './measurement.js'
import { notesOf, promptOf } from './prompts.js'

/** Bounds of a load. */
export interface LoadLimits { readonly requests: number, readonly maxSeconds: number, readonly signal: AbortSignal }

export interface Scenario extends Fanout {
  readonly name: string
  readonly what: string
  /** Requests are this many times as heavy as a chat's, so that fewer are sent. */
  readonly weight: number
  /**
   * The body of the i-th request; the number comes first in its prompt, so that requests of different numbers have only
   * the template in common.
   */
  readonly body: (index: number) => Record<string, unknown>
}

const noReward: Fanout = { candidates: 1, rewards: () => 0 }

/** Words of a long prompt: about 1,000 tokens. */
const longWords = 650

/** Candidates of the searches, and of best-of-n. */
const fanOut = 16

/** All kinds of requests. Answers have exactly `maxTokens` tokens, so that loads are comparable. */
export function scenariosOf ({ model, maxTokens }: { readonly model: string, readonly maxTokens: number }): Scenario[] {
  const chat = (index: number, more: object = {}, system: string | null = null): Record<string, unknown> => ({
    model,
    messages: [...system === null ? [] : [{ role: 'system', content: system }],
      { role: 'user', content: `${index + 1}: ${promptOf(index)}` }],
    max_tokens: maxTokens,
    ignore_eos: true,
    seed: index,
    ...more
  })
  const streamed = { stream: true, stream_options: { include_usage: true } }
  const guided = (alignment: object): object => ({ alignment: { reward: 'positive', ...alignment } })
  const step = 16
  const sharedSystem = `You are a librarian. These are your notes:\n${notesOf(0, longWords)}`
  const longSystem = (index: number): string => `You are a librarian. ${notesOf(index + 1, longWords)}`
  const bestOf8 = guided({ strategy: 'best_of_n', num_candidates: 8 })
  return [
    { name: 'chat', what: 'plain answers, whole', weight: 1, ...noReward, body: index => chat(index) },
    {
      name: 'streaming', what: 'plain answers, streamed', weight: 1, ...noReward, body: index => chat(index, streamed)
    },
    {
      name: 'best_of_n',
      what: `best of ${fanOut} answers`,
      weight: 4,
      candidates: fanOut,
      rewards: () => fanOut,
      body: index => chat(index, guided({ strategy: 'best_of_n', num_candidates: fanOut }))
    },
    {
      name: 'long_best_of_n',
      what: `best of ${fanOut} answers to prompts of about 1,000 tokens, each its own`,
      weight: 8,
      candidates: fanOut,
      rewards: () => fanOut,
      body: index => chat(index, guided({ strategy: 'best_of_n', num_candidates: fanOut }), longSystem(index))
    },
    {
      name: 'beam_search',
      what: `4 beams of 4 children each, steps of ${step} tokens`,
      weight: 4,
      candidates: fanOut,
      rewards: tokens => fanOut * Math.ceil(tokens / step),
      body: index =>
        chat(index, guided({ strategy: 'beam_search', num_beams: 4, num_children: 4, step: { tokens: step } }))
    },
    {
      name: 'token_guidance',
      what: 'each token of 20 looked at',
      weight: 4,
      candidates: 1,
      rewards: tokens => 20 * tokens,
      body: index => chat(index, { ...streamed, ...guided({ strategy: 'token_guidance', strength: 5 }) })
    },
    {
      name: 'mixed',
      what: 'three streams to every best of 8',
      weight: 2,
      candidates: (3 + 8) / 4,
      rewards: () => 2,
      body: index => index % 4 === 3 ? chat(index, bestOf8) : chat(index, streamed)
    },
    {
      name: 'shared_system',
      what: 'streams with one system prompt of about 1,000 tokens',
      weight: 1,
      ...noReward,
      body: index => chat(index, streamed, sharedSystem)
    },
    {
      name: 'long_prompts',
      what: 'streams with prompts of about 1,000 tokens, each its own',
      weight: 2,
      ...noReward,
      body: index => chat(index, streamed, longSystem(index))
    }
  ]
}
