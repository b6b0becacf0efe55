/**
 * What remote scorers are asked and how their answers are read: the shapes of vLLM's `/score`, `/classify`, `/pooling`
 * and `/v1/completions`. Bodies and numbers only; sending is `remote-http.ts`. Every reader throws an Error that says,
 * in words that follow "the remote scorer", what is wrong.
 */
import type { ChatMessage } from '../scorer.js'

/** A conversation and an answer to it. */
export interface RemoteItem {
  readonly messages: readonly ChatMessage[]
  readonly answer: string
  /** Both in the tokens and template of the server's model; null where the server is sent their text. */
  readonly tokens: readonly number[] | null
  /** Of the tokens: those at which steps are read. */
  readonly positions?: readonly number[]
}

/** What the server is asked for beside the items. */
export interface Asked {
  /** Numbers as the model computes them, where false; undefined leaves it to the server, whose default is true. */
  readonly useActivation?: boolean
  /** The tokens whose log-probabilities are compared, by `completions`. */
  readonly verdicts?: readonly [number, number]
}

type Entry = Readonly<Record<string, unknown>>

/** How a server of one kind is asked. */
export interface Protocol {
  /** How many items one request may carry. */
  maxItems (item: RemoteItem): number
  /** The body that asks for the numbers of some items. */
  body (items: readonly RemoteItem[], asked: Asked): Record<string, unknown>
  /** The list of the response that has an entry for each item. */
  readonly list: 'data' | 'choices'
  /** The numbers of an item: one row, or one for each position. What is none is left to the reader of the rows. */
  read (entry: Entry, item: RemoteItem, asked: Asked): unknown[]
}

/** Items a request: as many as are worth one round trip. */
const batch = 64

/** The prompt as one text: its only message, or all, each after its role. */
function promptText (messages: readonly ChatMessage[]): string {
  if (messages.length === 1) return messages[0]!.content
  return messages.map(({ role, content }) => `${role}: ${content}`).join('\n\n')
}

const activation = ({ useActivation }: Asked): object =>
  useActivation === undefined ? {} : { use_activation: useActivation }

/** A row that one number or a list of them makes. */
const rowOf = (value: unknown): unknown => Array.isArray(value) ? value : [value]

/** vLLM's endpoints that score, by name. */
export const protocols = {
  /** Cross-encoders: text_1 holds the prompts, text_2 their answers. */
  score: {
    maxItems: () => batch,
    body: (items, asked) => ({
      text_1: items.map(({ messages }) => promptText(messages)),
      text_2: items.map(({ answer }) => answer),
      ...activation(asked)
    }),
    list: 'data',
    read: ({ score }) => [rowOf(score)]
  },
  /** Classifiers: of the conversation's tokens, or of the answer's text alone. */
  classify: {
    maxItems: () => batch,
    body: (items, asked) => ({ input: items.map(({ tokens, answer }) => tokens ?? answer), ...activation(asked) }),
    list: 'data',
    read: ({ probs }) => [probs]
  },
  /** Reward models of conversations, which the server renders by their own template where it is sent no tokens. */
  pooling: {
    maxItems: ({ tokens }) => tokens ? batch : 1,
    body: (items, asked) => ({
      ...(items[0]!.tokens
        ? { input: items.map(({ tokens }) => tokens) }
        : { messages: [...items[0]!.messages, { role: 'assistant', content: items[0]!.answer }] }),
      ...activation(asked)
    }),
    list: 'data',
    read: ({ data }) => [rowOf(data)]
  },
  /** Process reward models with a score head: a row of numbers for each token. */
  token_classify: {
    // Rows of every token come back: few answers a response.
    maxItems: () => 4,
    body: items =>
      ({ input: items.map(({ tokens }) => tokens), task: 'token_classify', use_activation: false }),
    list: 'data',
    read: ({ data }, { tokens, positions }) => {
      const rows: readonly unknown[] = Array.isArray(data) ? data : []
      if (rows.length !== tokens!.length) {
        throw new Error(`must return a row for each of the ${tokens!.length} tokens; got ${rows.length}`)
      }
      return positions!.map(position => rows[position])
    }
  },
  /** Process reward models that are language models: how probable one verdict is against the other, as next token. */
  completions: {
    maxItems: () => batch,
    body: (items, { verdicts }) => ({
      prompt: items.map(({ tokens }) => tokens),
      max_tokens: 1,
      temperature: 0,
      logprobs: 1,
      logprob_token_ids: verdicts,
      return_tokens_as_token_ids: true
    }),
    list: 'choices',
    read: ({ logprobs }, _item, { verdicts }) => {
      const [first] = (logprobs as { top_logprobs?: ReadonlyArray<Record<string, unknown>> } | null)?.top_logprobs ?? []
      return [verdicts!.map(token => first?.[`token_id:${token}`])]
    }
  }
} as const satisfies Record<string, Protocol>

/** What a descriptor may say. */
export type ProtocolName = keyof typeof protocols

const shown = (value: unknown): string => (JSON.stringify(value) ?? 'nothing').slice(0, 80)

/** Rows of finite numbers. @throws Error naming the first that is none */
function checkedRows (rows: readonly unknown[], index: number): number[][] {
  return rows.map(row => {
    if (!Array.isArray(row) || row.length === 0) {
      throw new Error(`must return one finite number per text; got ${shown(row)} at index ${index}`)
    }
    const wrong = row.find(value => typeof value !== 'number' || !Number.isFinite(value))
    if (wrong === undefined && !row.includes(undefined)) return row as number[]
    throw new Error(`must return one finite number per text; got ${shown(wrong)} at index ${index}`)
  })
}

/**
 * The rows of each item of a response, in the items' order whatever the order of its entries.
 * @throws Error for another number of entries, an index twice or out of range, or what is no finite number
 */
export function readRows (
  response: unknown, items: readonly RemoteItem[], { list, read }: Protocol, asked: Asked
): number[][][] {
  const count = items.length
  const entries = (response as Record<string, unknown> | null)?.[list]
  if (!Array.isArray(entries) ||
      entries.length !== count) throw new Error(`must return ${list}, a list of ${count}; got ${shown(entries)}`)
  const rows = new Array<number[][]>(count)
  for (const [position, entry] of entries.entries()) {
    const fields = (typeof entry === 'object' && entry !== null ? entry : {}) as Entry
    const index = fields['index'] ?? position
    if (typeof index !== 'number' || !Number.isInteger(index) || index < 0 || index >= count || index in rows) {
      throw new Error(`must return each index from 0 to ${count - 1} once; got ${shown(index)}`)
    }
    rows[index] = checkedRows(read(fields, items[index]!, asked), index)
  }
  return rows
}
