/** What rewards must know of the policy whose answers they score, and how texts are read through it. */
import type { KvBudget, Reservation } from '../engine/model-runtime.js'
import { sourceOf, type SequenceSource } from '../engine/sequence.js'
import { answeredTokens, type AnsweredChat, type AnsweredTokens } from '../models/tokenizer/answered-chat.js'
import type { ModelFacts } from '../models/model.js'
import { textBytes } from '../models/tokenizer/text-limit.js'

/** A head that another server computes beside its model. */
export interface HeadElsewhere {
  readonly name: string
  readonly layer: number
  readonly pooling: string
  /** As in its descriptor. */
  readonly members: Readonly<Record<string, unknown>>
  readonly policy: { readonly id: string, readonly weightsSha256: string }
  /** Digest of its weights; null where the server does not tell it. */
  readonly sha256: string | null
  /** Digest of the Q-head by which the server guides tokens; null where it does not. */
  readonly nextTokenSha256: string | null
}

/** The policy as a fitted head names it, and what its hidden states look like. */
export interface PolicyInfo {
  readonly id: string
  /**
   * Whether another server runs it: neither its hidden states nor its probabilities of given texts are read here.
   * Default no.
   */
  readonly isRemote?: boolean
  /** Heads that the other server computes. Default none. */
  readonly heads?: readonly HeadElsewhere[]
  /** Of the weights as downloaded: 64 lower-case hex digits; '' where another server has them. */
  readonly weightsSha256: string
  /** Weight format the engine runs. */
  readonly format: string
  /** Tells the processor's kernels apart from those that round differently. */
  readonly kernels: string
  /** Width D of a hidden state. */
  readonly hiddenSize: number
  /** Number of layers L; hidden states have indices 0..L. */
  readonly layers: number
  /** Tokens that end an answer, the template's own first. */
  readonly endTokens: readonly number[]
  /**
   * A token's embedding, its hidden state at layer 0, length D.
   * @param row where to write it; default memory of its own
   */
  embedding (token: number, row?: Float32Array): Float32Array
}

/** A policy that texts can be read through: what features are extracted with. */
export interface ReadablePolicy extends PolicyInfo {
  readonly source: SequenceSource
  /**
   * Waits for room for sequences of so many tokens each. Granted in FIFO order, so that a fit takes
   * one place in the engine's queue.
   */
  reserve (sequences: number, tokens: number, signal?: AbortSignal): Promise<Reservation>
  /** Longest prompt and answer together, tokens. */
  readonly contextLength: number
  /**
   * Tokens of chats and of the answers to them, in order.
   * @throws RequestError for text that no context has room for, and for messages that the template refuses; the
   * signal's reason when aborted
   */
  tokens (chats: readonly AnsweredChat[], signal?: AbortSignal): Promise<AnsweredTokens[]>
}

/** A model on another server as rewards see it. */
export function remotePolicyInfo (
  { id, tokenizer }: Pick<ModelFacts, 'id' | 'tokenizer'>, heads: readonly HeadElsewhere[] = []
): PolicyInfo {
  return {
    id,
    isRemote: true,
    heads,
    weightsSha256: '',
    format: '',
    kernels: '',
    hiddenSize: 0,
    layers: 0,
    endTokens: tokenizer.endTokens,
    embedding: () => { throw new Error(`${id} has no embeddings here`) }
  }
}

/** What a reward says of such a policy that would have to be read here, in words that follow the family's name. */
export const unreadable = (what: string, { id }: Pick<PolicyInfo, 'id'>): string =>
  `needs ${what} of the policy, which the engine of the model ${id} does not offer`

/** A loaded model as rewards see it. */
export function policyInfo (model: ModelFacts): PolicyInfo {
  const { id, sha256, operators: { format, kernels }, config, tokenizer, embeddings } = model
  return {
    id,
    weightsSha256: sha256,
    format,
    kernels,
    hiddenSize: config.hiddenSize,
    layers: config.layers,
    endTokens: tokenizer.endTokens,
    embedding: (token, row) => embeddings.row(token, row)
  }
}

/** Tokenises in another thread, callers in turn. */
interface ChatTokenizer {
  run (
    model: ModelFacts, name: 'answers', chats: readonly AnsweredChat[],
    owner: { readonly caller: string, readonly signal: AbortSignal }
  ): Promise<AnsweredTokens[]>
}

/** A model, what runs it, and, where others share the thread, what reads texts elsewhere. */
interface Runtime {
  readonly model: ModelFacts
  readonly engine: SequenceSource
  readonly kvBudget: Pick<KvBudget, 'reserve'>
  readonly prompts?: ChatTokenizer
}

/** Chats tokenised in one turn of the other thread, at most, and bytes of text from which on it takes no more. */
const turn = { chats: 64, bytes: 2 ** 20 }

function * inTurns (chats: readonly AnsweredChat[]): Generator<AnsweredChat[]> {
  let [some, bytes]: [AnsweredChat[], number] = [[], 0]
  for (const chat of chats) {
    some.push(chat)
    bytes += textBytes(chat)
    if (some.length < turn.chats && bytes < turn.bytes) continue
    yield some
    ;[some, bytes] = [[], 0]
  }
  if (some.length > 0) yield some
}

/** A model's runtime as something that texts can be read through. @param caller whose turns that takes */
export function readablePolicy ({ model, engine, kvBudget, prompts }: Runtime, caller = ''): ReadablePolicy {
  let last: Promise<unknown> = Promise.resolve()
  return {
    ...policyInfo(model),
    source: sourceOf(engine, caller),
    reserve (sequences, tokens, signal) {
      const granted = last.then(() => kvBudget.reserve({ sequences, tokens, caller }, signal))
      last = granted.catch(() => {})
      return granted
    },
    contextLength: model.contextLength,
    async tokens (chats, signal = new AbortController().signal) {
      if (!prompts) return chats.map(chat => answeredTokens(model, chat))
      const read: AnsweredTokens[] = []
      for (const some of inTurns(chats)) read.push(...await prompts.run(model, 'answers', some, { caller, signal }))
      return read
    }
  }
}
