/**
 * What a response writes, its output items: a message, function calls behind it, or both; whole, or as typed events
 * while they come (`response.output_text.delta`, `response.function_call_arguments.delta`…). Knows nothing of the
 * response around them.
 */
import type { Choice } from '../../decoding/result.js'
import type { TokenLogprob } from '../../policies/drawn-token.js'
import type { CallForm } from '../../models/tokenizer/tool-call-format.js'
import { choiceAlignment } from '../alignment/alignment-formatter.js'
import { logprobObjects } from '../generation/logprobs-formatter.js'
import { newId } from './item-schema.js'
import { readToolCalls, ToolCallReader, type Piece } from '../chat/tool-call-parser.js'
import type {
  ResponseCall, ResponseEvent, ResponseMessage, ResponseOutputItem, ResponseText
} from './response-types.js'

type Status = ResponseMessage['status']

/** What decides which items and fields there are. */
export interface OutputOptions {
  /** How the model calls functions. */
  readonly callForm: CallForm
  /** Whether the answer may call functions. */
  readonly hasTools: boolean
  readonly hasLogprobs: boolean
  /** Whether the last item carries the answer's `alignment`. */
  readonly isGuided: boolean
}

/** The item that is being written in a stream. */
type OpenItem =
  /** `ahead`: bytes of its text that have come before the tokens they are of. */
  | { readonly type: 'message', text: string, readonly logprobs: TokenLogprob[], ahead: number }
  | { readonly type: 'function_call', readonly call: number, readonly name: string, given: string }

/** Bytes of some tokens. */
const bytesOf = (logprobs: readonly TokenLogprob[]): number =>
  logprobs.reduce((sum, { bytes }) => sum + bytes.length, 0)

/** One answer of a response, item by item. */
export class OutputItems {
  readonly #options: OutputOptions
  readonly #event: (type: string, fields: object) => ResponseEvent
  readonly #messageId = newId('msg')
  readonly #callIds: Array<Pick<ResponseCall, 'id' | 'call_id'>> = []
  readonly #reader: ToolCallReader
  /** Of a stream: items that are whole, the one that is not, and tokens whose text is not whole yet. */
  #closed = 0
  #open: OpenItem | null = null
  #pendingTokens: TokenLogprob[] = []

  /** @param event numbers an event */
  constructor (options: OutputOptions, event: (type: string, fields: object) => ResponseEvent) {
    this.#options = options
    this.#reader = new ToolCallReader(options.callForm)
    this.#event = event
  }

  #logprobs (logprobs: readonly TokenLogprob[]): NonNullable<ResponseText['logprobs']> {
    return this.#options.hasLogprobs ? logprobObjects(logprobs) : []
  }

  #part (text: string, logprobs: readonly TokenLogprob[]): ResponseText {
    return { type: 'output_text', text, annotations: [], logprobs: this.#logprobs(logprobs) }
  }

  #message (status: Status, content: readonly ResponseText[]): ResponseMessage {
    return { id: this.#messageId, type: 'message', status, role: 'assistant', content }
  }

  #idsOf (call: number): Pick<ResponseCall, 'id' | 'call_id'> {
    return (this.#callIds[call] ??= { id: newId('fc'), call_id: newId('call') })
  }

  /** @param call its number in the answer */
  #call (status: Status, call: number, name: string, given: string): ResponseCall {
    return { ...this.#idsOf(call), type: 'function_call', status, name, arguments: given }
  }

  /** The last item, which says how the answer ended. */
  #last<T extends ResponseOutputItem> (item: T, choice: Choice): T {
    return {
      ...item,
      status: choice.finishReason === 'length' ? 'incomplete' : 'completed',
      ...(this.#options.isGuided ? { alignment: choiceAlignment(choice) } : {})
    }
  }

  /** All items of a whole answer. */
  items (choice: Choice): ResponseOutputItem[] {
    const { content, calls } =
      this.#options.hasTools ? readToolCalls(choice.text, this.#options.callForm) : { content: choice.text, calls: [] }
    const logprobs = calls.length === 0 ? choice.logprobs : withinText(choice.logprobs, content)
    const items: ResponseOutputItem[] = [
      ...(content !== '' || calls.length === 0 ? [this.#message('completed', [this.#part(content, logprobs)])] : []),
      ...calls.map(({ name, arguments: given }, call) => this.#call('completed', call, name, given))
    ]
    return [...items.slice(0, -1), this.#last(items.at(-1)!, choice)]
  }

  /** The item that is open. */
  #opened (open: OpenItem, status: Status): ResponseOutputItem {
    return open.type === 'message'
      ? this.#message(status, [this.#part(open.text, open.logprobs)])
      : this.#call(status, open.call, open.name, open.given)
  }

  /** Where the open item is. Asked for every delta: what it holds so far is not gone through. */
  #place (): { item_id: string, output_index: number } {
    const open = this.#open!
    return {
      item_id: open.type === 'message' ? this.#messageId : this.#idsOf(open.call).id, output_index: this.#closed
    }
  }

  #textPlace (): object { return { ...this.#place(), content_index: 0 } }

  #openMessage (): ResponseEvent[] {
    this.#open = { type: 'message', text: '', logprobs: [], ahead: 0 }
    return [
      this.#event('response.output_item.added', { output_index: this.#closed, item: this.#message('in_progress', []) }),
      this.#event('response.content_part.added', { ...this.#textPlace(), part: this.#part('', []) })
    ]
  }

  #openCall (name: string): ResponseEvent[] {
    this.#open = { type: 'function_call', call: this.#reader.calls - 1, name, given: '' }
    return [this.#event('response.output_item.added',
      { output_index: this.#closed, item: this.#opened(this.#open, 'in_progress') })]
  }

  /** Ends the open item, if there is one. @param choice the answer, where the item is its last */
  #close (choice: Choice | null): ResponseEvent[] {
    const open = this.#open
    if (!open) return []
    const whole = this.#opened(open, 'completed')
    const events = open.type === 'message'
      ? [
          this.#event('response.output_text.done',
            { ...this.#textPlace(), text: open.text, logprobs: this.#logprobs(open.logprobs) }),
          this.#event('response.content_part.done',
            { ...this.#textPlace(), part: this.#part(open.text, open.logprobs) })
        ]
      : [this.#event('response.function_call_arguments.done',
          { ...this.#place(), name: open.name, arguments: open.given })]
    events.push(this.#event('response.output_item.done',
      { output_index: this.#closed, item: choice ? this.#last(whole, choice) : whole }))
    this.#open = null
    this.#closed++
    return events
  }

  /** Text of the message. @param logprobs of its tokens */
  #delta (text: string, logprobs: readonly TokenLogprob[]): ResponseEvent[] {
    const opening = this.#open ? [] : this.#openMessage()
    const open = this.#open as OpenItem & { type: 'message' }
    open.text += text
    open.logprobs.push(...logprobs)
    open.ahead += Buffer.byteLength(text) - bytesOf(logprobs)
    return [...opening, this.#event('response.output_text.delta',
      { ...this.#textPlace(), delta: text, logprobs: this.#logprobs(logprobs) })]
  }

  #piece (piece: Piece): ResponseEvent[] {
    switch (piece.type) {
      case 'content': return this.#delta(piece.text, this.#takeTokens(piece.text))
      case 'call': return [...this.#close(null), ...this.#openCall(piece.name)]
      case 'arguments': {
        const open = this.#open as OpenItem & { type: 'function_call' }
        open.given += piece.text
        return [this.#event('response.function_call_arguments.delta', { ...this.#place(), delta: piece.text })]
      }
    }
  }

  /** Takes away the tokens that some more text of the message completes. */
  #takeTokens (text: string): TokenLogprob[] {
    const ahead = this.#open?.type === 'message' ? this.#open.ahead : 0
    return this.#pendingTokens.splice(0, countWithin(this.#pendingTokens, ahead + Buffer.byteLength(text)))
  }

  /** The events of some more text. */
  text (text: string, logprobs: readonly TokenLogprob[]): ResponseEvent[] {
    if (!this.#options.hasTools) return this.#delta(text, logprobs)
    this.#pendingTokens.push(...logprobs)
    return this.#reader.push(text).flatMap(piece => this.#piece(piece))
  }

  /** The events that end the answer. */
  end (choice: Choice): ResponseEvent[] {
    const held = this.#options.hasTools ? this.#reader.flush().flatMap(piece => this.#piece(piece)) : []
    const opening = this.#open ? [] : this.#openMessage()
    const open = this.#open!
    if (open.type === 'message') open.logprobs.push(...choice.logprobs.slice(open.logprobs.length))
    return [...held, ...opening, ...this.#close(choice)]
  }
}

/** How many tokens at the beginning have no more than so many bytes together. */
function countWithin (logprobs: readonly TokenLogprob[], max: number): number {
  let sum = 0
  const beyond = logprobs.findIndex(({ bytes }) => (sum += bytes.length) > max)
  return beyond < 0 ? logprobs.length : beyond
}

/** The tokens at the beginning whose text is within a text. */
const withinText = (logprobs: readonly TokenLogprob[], text: string): readonly TokenLogprob[] =>
  logprobs.slice(0, countWithin(logprobs, Buffer.byteLength(text)))
