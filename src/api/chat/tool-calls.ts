/**
 * Tool calls as chat completions tell them: whole, `message.tool_calls`, and as the chunks of a stream,
 * `delta.tool_calls`: first the id and the name of a call, then its arguments piece by piece.
 */
import type { CallForm } from '../../models/tokenizer/tool-call-format.js'
import type { ChunkChoice, ToolCall } from './chat-types.js'
import { readToolCalls, ToolCallReader, type Piece } from './tool-call-parser.js'

/** What a chunk adds to a choice. */
type Delta = ChunkChoice['delta']

/** The id of a choice's call, by the number of the call: the same in chunks and in the whole object. */
export type CallIds = (call: number) => string

/** The text and the calls of a whole answer. */
export function toolCallsOf (
  text: string, form: CallForm, idOf: CallIds
): { readonly content: string, readonly toolCalls: ToolCall[] } {
  const { content, calls } = readToolCalls(text, form)
  return { content, toolCalls: calls.map((call, index) => ({ id: idOf(index), type: 'function', function: call })) }
}

/** The deltas of one choice whose answer may call functions. */
export class ToolCallDeltas {
  readonly #reader: ToolCallReader
  readonly #idOf: CallIds
  /** Calls begun so far. */
  #calls = 0

  constructor (form: CallForm, idOf: CallIds) {
    this.#reader = new ToolCallReader(form)
    this.#idOf = idOf
  }

  get hasCalls (): boolean { return this.#calls > 0 }

  /** What some more text adds: nothing while a call may be beginning. */
  push (text: string): Delta[] { return this.#reader.push(text).map(piece => this.#delta(piece)) }

  /** What was held back, after the last text. */
  flush (): Delta[] { return this.#reader.flush().map(piece => this.#delta(piece)) }

  #delta (piece: Piece): Delta {
    switch (piece.type) {
      case 'content':
        return { content: piece.text }
      case 'call': {
        const index = this.#calls++
        const named = { name: piece.name, arguments: '' }
        return { tool_calls: [{ index, id: this.#idOf(index), type: 'function', function: named }] }
      }
      case 'arguments':
        return { tool_calls: [{ index: this.#calls - 1, function: { arguments: piece.text } }] }
    }
  }
}
