/**
 * What remote scorers are asked and how their answers are read: the shapes of vLLM's `/score`, `/classify` and
 * `/pooling`. Bodies and numbers only; sending is `remote.ts`. Every reader throws an Error that says, in words that
 * follow "the remote scorer", what is wrong.
 */
import type { ChatMessage } from '../scorer.js'

/** A conversation and an answer to it. */
export interface RemoteItem { readonly messages: readonly ChatMessage[], readonly answer: string }

/** How a server of one kind is asked. */
export interface Protocol {
  /** How many items one request may carry. */
  readonly maxItems: number
  /** The body that asks for the scores of some items. */
  body (items: readonly RemoteItem[]): Record<string, unknown>
  /** The score of one entry of the response's `data`. @param label which class, for `/classify` */
  read (entry: Readonly<Record<string, unknown>>, label: number): unknown
}

/** The prompt as one text: its only message, or all, each after its role. */
function promptText (messages: readonly ChatMessage[]): string {
  if (messages.length === 1) return messages[0]!.content
  return messages.map(({ role, content }) => `${role}: ${content}`).join('\n\n')
}

/** vLLM's endpoints that score, by name. */
export const protocols = {
  /** Cross-encoders: text_1 holds the prompts, text_2 their answers. */
  score: {
    maxItems: 64,
    body: items => ({
      text_1: items.map(({ messages }) => promptText(messages)), text_2: items.map(({ answer }) => answer)
    }),
    read: ({ score }) => score
  },
  /** Classifiers of the answer's text alone; the probability of one class. */
  classify: {
    maxItems: 64,
    body: items => ({ input: items.map(({ answer }) => answer) }),
    read: ({ probs }, label) => Array.isArray(probs) ? probs[label] : undefined
  },
  /**
   * Reward models of conversations, which the server renders by their own template; one number. One conversation a
   * request.
   */
  pooling: {
    maxItems: 1,
    body: ([item]) => ({ messages: [...item!.messages, { role: 'assistant', content: item!.answer }] }),
    read: ({ data }) => Array.isArray(data) && data.length === 1 ? data[0] : data
  }
} as const satisfies Record<string, Protocol>

/** What a descriptor may say. */
export type ProtocolName = keyof typeof protocols

const shown = (value: unknown): string => (JSON.stringify(value) ?? 'nothing').slice(0, 80)

/**
 * The scores of a response, in the items' order whatever the order of its entries.
 * @throws Error for another number of entries, an index twice or out of range, or a score that is no finite number
 */
export function readScores (response: unknown, count: number, { read }: Protocol, label: number): number[] {
  const data = (response as { data?: unknown } | null)?.data
  if (!Array.isArray(data) ||
      data.length !== count) throw new Error(`must return data, a list of ${count}; got ${shown(data)}`)
  const scores = new Array<number>(count)
  for (const [position, entry] of data.entries()) {
    const fields = (typeof entry === 'object' && entry !== null ? entry : {}) as Readonly<Record<string, unknown>>
    const index = fields['index'] ?? position
    if (typeof index !== 'number' || !Number.isInteger(index) || index < 0 || index >= count || index in scores) {
      throw new Error(`must return each index from 0 to ${count - 1} once; got ${shown(index)}`)
    }
    const score = read(fields, label)
    if (typeof score !== 'number' || !Number.isFinite(score)) {
      throw new Error(`must return one finite number per text; got ${shown(score)} at index ${index}`)
    }
    scores[index] = score
  }
  return scores
}
