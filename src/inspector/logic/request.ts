/** What is asked for, as the form holds it, and as the API takes it. */
import type { Values } from './form.js'

/** A reward and its weight in the sum that steers. */
export interface Weighted { readonly name: string, readonly weight: number }

/** No strategy: answers drawn as the model would. */
export const plain = 'plain'

/** A request as forms hold it. */
export interface Draft {
  readonly system: string
  readonly prompt: string
  /** Text that the answer begins with; '' for none. */
  readonly beginning: string
  /** `plain`, or a strategy. */
  readonly strategy: string
  /** Fields of the strategies that differ from their defaults, by strategy. */
  readonly fields: Readonly<Record<string, Values>>
  readonly rewards: readonly Weighted[]
  readonly maxTokens: number
  readonly seed: number | null
  /** Plain answers drawn. */
  readonly n: number
  readonly sampling: Values
}

/** The prompt of the README. */
const firstPrompt = 'Write a short review of a film about a lighthouse keeper.'

export const firstDraft: Draft = {
  system: '',
  prompt: firstPrompt,
  beginning: '',
  strategy: 'best_of_n',
  fields: {},
  rewards: [],
  maxTokens: 64,
  seed: null,
  n: 4,
  sampling: {}
}

/** A message of a conversation. */
export interface Message { readonly role: string, readonly content: string }

export type ChatBody = Readonly<Record<string, unknown>> & { readonly messages: readonly Message[] }

export function messagesOf ({ system, prompt, beginning }: Pick<Draft, 'system' | 'prompt' | 'beginning'>): Message[] {
  return [
    ...(system.trim() === '' ? [] : [{ role: 'system', content: system }]),
    { role: 'user', content: prompt },
    ...(beginning === '' ? [] : [{ role: 'assistant', content: beginning }])
  ]
}

/** The reward fields of an alignment: short where there is one of weight 1. */
export function rewardFields (rewards: readonly Weighted[]): Record<string, unknown> {
  if (rewards.length === 0) return {}
  const [first] = rewards
  return rewards.length === 1 && first!.weight === 1 ? { reward: first!.name } : { rewards }
}

/** The body of `POST /v1/chat/completions`, without how it is streamed. */
export function chatBody (draft: Draft, model: string): ChatBody {
  const { strategy, fields, rewards, maxTokens, seed, n, sampling, beginning } = draft
  return {
    model,
    messages: messagesOf(draft),
    ...(beginning === '' ? {} : { continue_final_message: true }),
    max_tokens: maxTokens,
    ...(seed === null ? {} : { seed }),
    ...sampling,
    ...(strategy === plain
      ? { n }
      : { alignment: { strategy, ...rewardFields(rewards), ...fields[strategy] } })
  }
}

/** That as the page sends it: streamed, with its journal. */
export const streamedBody = (body: object): object => ({
  ...body, stream: true, stream_options: { include_journal: { alternatives: 8, pieces: true } }
})

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const contentOf = (messages: readonly Message[], role: string): string => {
  const content: unknown = messages.findLast(message => message.role === role)?.content
  if (!Array.isArray(content)) return typeof content === 'string' ? content : ''
  return content.map((part: unknown) => isObject(part) && typeof part['text'] === 'string' ? part['text'] : '').join('')
}

const stringOf = (value: unknown): string => typeof value === 'string' ? value : ''

const samplingOf = (request: Readonly<Record<string, unknown>>): Values => {
  const apart = ['model', 'messages', 'prompt', 'input', 'instructions', 'continue_final_message', 'max_tokens',
    'max_completion_tokens', 'max_output_tokens', 'seed', 'n', 'alignment', 'stream', 'stream_options']
  return Object.fromEntries(Object.entries(request).filter(([name, value]) => !apart.includes(name) && value !== null))
}

/** A journal's request as the form holds it. */
export function draftOf (request: Readonly<Record<string, unknown>>): Draft {
  const listed = [request['messages'], request['input']].find(Array.isArray)
  const messages = (listed ?? []) as readonly Message[]
  const { strategy = 'best_of_n', reward, rewards, ...fields } = isObject(request['alignment'])
    ? request['alignment']
    : { strategy: plain }
  const weighted = Array.isArray(rewards) ? (rewards as Array<Partial<Weighted>>) : []
  const name = String(strategy ?? 'best_of_n')
  const maxTokens = request['max_tokens'] ?? request['max_completion_tokens'] ?? request['max_output_tokens']
  return {
    ...firstDraft,
    system: contentOf(messages, 'system') || stringOf(request['instructions']),
    prompt: contentOf(messages, 'user') || stringOf(request['prompt'] ?? request['input']),
    beginning: request['continue_final_message'] === true ? contentOf(messages, 'assistant') : '',
    strategy: name,
    fields: name === plain ? {} : { [name]: fields },
    rewards: typeof reward === 'string'
      ? [{ name: reward, weight: 1 }]
      : weighted.map(one => ({ name: String(one.name), weight: one.weight ?? 1 })),
    maxTokens: typeof maxTokens === 'number' ? maxTokens : firstDraft.maxTokens,
    seed: typeof request['seed'] === 'number' ? request['seed'] : null,
    n: typeof request['n'] === 'number' ? request['n'] : 1,
    sampling: samplingOf(request)
  }
}
