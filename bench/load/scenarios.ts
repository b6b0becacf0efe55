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
/** Tokens of a beam's step. */
const step = 16

const streamed = { stream: true, stream_options: { include_usage: true } }
const guided = (alignment: object): object => ({ alignment: { reward: 'positive', ...alignment } })
const bestOf = (candidates: number): object => guided({ strategy: 'best_of_n', num_candidates: candidates })
const beams = guided({ strategy: 'beam_search', num_beams: 4, num_children: 4, step: { tokens: step } })

const librarian = (notes: string): string => `You are a librarian. ${notes}`
const sharedSystem = librarian(`These are your notes:\n${notesOf(0, longWords)}`)
const longSystem = (index: number): string => librarian(notesOf(index + 1, longWords))

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
  const scenario = (
    name: string, what: string, weight: number, fanout: Fanout, body: Scenario['body']
  ): Scenario => ({ name, what, weight, ...fanout, body })
  const search = (rewards: Fanout['rewards']): Fanout => ({ candidates: fanOut, rewards })
  return [
    scenario('chat', 'plain answers, whole', 1, noReward, index => chat(index)),
    scenario('streaming', 'plain answers, streamed', 1, noReward, index => chat(index, streamed)),
    scenario('best_of_n', `best of ${fanOut} answers`, 4, search(() => fanOut), index => chat(index, bestOf(fanOut))),
    scenario('long_best_of_n', `best of ${fanOut} answers to prompts of about 1,000 tokens, each its own`, 8,
      search(() => fanOut), index => chat(index, bestOf(fanOut), longSystem(index))),
    scenario('beam_search', `4 beams of 4 children each, steps of ${step} tokens`, 4,
      search(tokens => fanOut * Math.ceil(tokens / step)), index => chat(index, beams)),
    scenario('token_guidance', 'each token of 20 looked at', 4, { candidates: 1, rewards: tokens => 20 * tokens },
      index => chat(index, { ...streamed, ...guided({ strategy: 'token_guidance', strength: 5 }) })),
    scenario('mixed', 'three streams to every best of 8', 2, { candidates: (3 + 8) / 4, rewards: () => 2 },
      index => chat(index, index % 4 === 3 ? bestOf(8) : streamed)),
    scenario('shared_system', 'streams with one system prompt of about 1,000 tokens', 1, noReward,
      index => chat(index, streamed, sharedSystem)),
    scenario('long_prompts', 'streams with prompts of about 1,000 tokens, each its own', 2, noReward,
      index => chat(index, streamed, longSystem(index)))
  ]
}
