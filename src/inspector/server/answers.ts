/** Answers drawn whole, and answers scored: what Teach and Compare ask for. */
import type { ChatCompletion, RewardScores } from '../logic/api-types.js'
import type { Message, Weighted } from '../logic/request.js'
import { call } from './http.js'

/** A request for whole answers. */
export interface DrawRequest {
  readonly model: string
  readonly messages: readonly Message[]
  readonly n: number
  readonly maxTokens: number
  readonly seed: number
  /** Null draws as the model would. */
  readonly alignment: object | null
  /** People with lower ones go first. */
  readonly priority: number
}

/** Texts of the answers. @throws ApiFailure */
export async function drawAnswers (
  { model, messages, n, maxTokens, seed, alignment, priority }: DrawRequest, signal?: AbortSignal
): Promise<string[]> {
  const { choices } = await call<ChatCompletion>('/v1/chat/completions', {
    body: {
      model, messages, n, max_tokens: maxTokens, seed, temperature: 1, priority, ...(alignment ? { alignment } : {})
    },
    ...(signal ? { signal } : {})
  })
  return choices.map(({ message }) => message.content ?? '')
}

/** Rewards of whole answers to a prompt, by the outcome member. @throws ApiFailure */
export async function scoreAnswers (
  model: string, rewards: readonly Weighted[], messages: readonly Message[], answers: readonly string[]
): Promise<number[]> {
  const { data } = await call<RewardScores>('/v1/rewards/score', {
    body: { model, rewards, input: answers.map(answer => ({ messages, answer })) }
  })
  return data.map(({ reward }) => reward)
}

/** A seed that can be written down. */
export const randomSeed = (): number => Math.floor(Math.random() * 2 ** 31)
