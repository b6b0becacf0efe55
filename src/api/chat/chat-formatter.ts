/** From Fairlead's events to OpenAI's chat objects: whole, or as chunks while events come. */
import { randomUUID } from 'node:crypto'
import type { Choice, DecodeResult } from '../../decoding/result.js'
import type { RatedToken, TokenLogprob } from '../../policies/drawn-token.js'
import type { RequestError } from '../../errors.js'
import type { GenerationEvent, GenerationStart, Usage } from '../../serving/protocol.js'
import type { CallForm } from '../../models/tokenizer/call-form.js'
import { alignmentObject, choiceAlignment, fingerprintOf, usageObject } from '../alignment/alignment-formatter.js'
import { readToolCalls, ToolCallReader, type Piece } from './tool-call-parser.js'
import type { ChatCompletionRequest } from './chat-completion-schema.js'
import type {
  ChatChoice, ChatCompletion, ChatCompletionChunk, ChoiceLogprobs, ChunkChoice, RatedToken as WireToken, ToolCallDelta
} from '../wire-types.js'

/** What turns a request's events into the objects of an endpoint. */
export interface Formatter<E> {
  /** Remembers what the whole object is made of. */
  see (event: E): void
  /** The whole object, after the last event. */
  completion (): object
  /** The chunks of an event, which it sees. */
  chunks (event: E): object[]
  /** The chunks of an error after the first chunk. */
  failure (error: RequestError): object[]
  /** What a stream ends with, well or badly. */
  readonly closing: readonly string[]
}

/** Tokens with their alternatives, as chat completions and responses tell them. */
export function logprobObjects (logprobs: readonly TokenLogprob[]): ChoiceLogprobs['content'] {
  const token = ({ bytes, logprob }: RatedToken): WireToken => ({
    token: Buffer.from(bytes).toString(), logprob, bytes: [...bytes]
  })
  return logprobs.map(one => ({ ...token(one), top_logprobs: one.top.map(token) }))
}

/** A piece of an answer as chunks tell it. @param call number of the call it belongs to @param id of that call */
function deltaOf (piece: Piece, call: number, id: string): ChunkChoice['delta'] {
  const calls = (delta: Omit<ToolCallDelta, 'index'>): ChunkChoice['delta'] => ({
    tool_calls: [{ index: call, ...delta }]
  })
  switch (piece.type) {
    case 'content': return { content: piece.text }
    case 'call': return calls({ id, type: 'function', function: { name: piece.name, arguments: '' } })
    case 'arguments': return calls({ function: { arguments: piece.text } })
  }
}

/** Makes one completion's objects. */
export class ChatFormatter implements Formatter<GenerationEvent> {
  readonly #request: ChatCompletionRequest
  readonly #callForm: CallForm
  readonly #head: Pick<ChatCompletion, 'id' | 'created' | 'model' | 'system_fingerprint'>
  #start: GenerationStart | null = null
  #result: DecodeResult | null = null
  #usage: Usage | null = null
  /** Per choice, of streams in which functions may be called. */
  readonly #readers = new Map<number, ToolCallReader>()

  constructor (request: ChatCompletionRequest) {
    const { model } = request
    this.#request = request
    this.#callForm = model.callForm
    this.#head = {
      id: `chatcmpl-${randomUUID()}`,
      created: Math.floor(Date.now() / 1000),
      model: request.modelName,
      system_fingerprint: fingerprintOf(model, request.generate)
    }
  }

  get #isGuided (): boolean { return this.#request.generate.alignment !== null }

  see (event: GenerationEvent): void {
    if (event.type === 'start') this.#start = event.start
    else if (event.type === 'end') this.#result = event.result
    else if (event.type === 'usage') this.#usage = event.usage
  }

  #logprobs (logprobs: readonly TokenLogprob[]): ChoiceLogprobs | null {
    return this.#request.generate.sampling.topLogprobs === null
      ? null
      : { content: logprobObjects(logprobs), refusal: null }
  }

  /** The response's own fields: `alignment`, the prompt's tokens. */
  #more (): Pick<ChatCompletion, 'alignment' | 'prompt_token_ids'> {
    return {
      ...(this.#isGuided && this.#start && this.#result
        ? { alignment: alignmentObject(this.#start, this.#result) }
        : {}),
      ...(this.#request.returnTokenIds ? { prompt_token_ids: this.#start!.promptTokenIds } : {})
    }
  }

  #choiceMore (choice: Choice): Pick<ChatChoice, 'alignment' | 'token_ids'> {
    return {
      ...(this.#isGuided ? { alignment: choiceAlignment(choice) } : {}),
      ...(this.#request.returnTokenIds ? { token_ids: choice.tokenIds } : {})
    }
  }

  /** The same in chunks and in the whole object. */
  #callId (choice: number, call: number): string {
    return `call_${this.#head.id.replace('chatcmpl-', '').replaceAll('-', '').slice(0, 20)}${choice}_${call}`
  }

  /** The message of a whole answer, and why it ended. */
  #messageOf ({ text, finishReason }: Choice, index: number): Pick<ChatChoice, 'message' | 'finish_reason'> {
    const { content, calls } =
      this.#request.hasTools ? readToolCalls(text, this.#callForm) : { content: text, calls: [] }
    if (calls.length === 0) {
      return {
        message: { role: 'assistant', content: this.#request.echoed + content, refusal: null },
        finish_reason: finishReason
      }
    }
    return {
      message: {
        role: 'assistant',
        content: content === '' ? null : content,
        refusal: null,
        tool_calls: calls.map(({ name, arguments: given }, call) => ({
          id: this.#callId(index, call), type: 'function', function: { name, arguments: given }
        }))
      },
      finish_reason: finishReason === 'stop' ? 'tool_calls' : finishReason
    }
  }

  completion (): ChatCompletion {
    const choices = this.#result!.choices.map((choice, index): ChatChoice => ({
      index,
      ...this.#messageOf(choice, index),
      logprobs: this.#logprobs(choice.logprobs),
      ...this.#choiceMore(choice)
    }))
    return { ...this.#head, object: 'chat.completion', choices, usage: usageObject(this.#usage!), ...this.#more() }
  }

  #chunk (
    choices: ChunkChoice[], more: Pick<ChatCompletionChunk, 'alignment' | 'prompt_token_ids'> = {}
  ): ChatCompletionChunk {
    return {
      ...this.#head,
      object: 'chat.completion.chunk',
      choices,
      ...(this.#request.includeUsage ? { usage: null } : {}),
      ...more
    }
  }

  /** The chunks that open a stream: the role of every choice, and what it begins with. */
  #opening (): ChatCompletionChunk[] {
    const { returnTokenIds, echoed, generate } = this.#request
    const more = returnTokenIds ? { prompt_token_ids: this.#start!.promptTokenIds } : {}
    return Array.from({ length: generate.n }, (_, index) =>
      this.#chunk([{ index, delta: { role: 'assistant', content: echoed }, logprobs: null, finish_reason: null }],
        index === 0 ? more : {}))
  }

  readonly closing = ['[DONE]']

  failure (error: RequestError): object[] { return [error.toBody()] }

  /** A choice's last chunk waits for the end of a guided generation, whose `alignment` it carries. */
  chunks (event: GenerationEvent): ChatCompletionChunk[] {
    this.see(event)
    switch (event.type) {
      case 'start':
        return this.#opening()
      case 'text':
        return this.#deltas(event.choice, event.text).map((delta, index) => this.#chunk([{
          index: event.choice, delta, logprobs: index === 0 ? this.#logprobs(event.logprobs) : null, finish_reason: null
        }]))
      case 'progress':
        return [this.#chunk([], { alignment: { progress: { step: event.step, candidates: event.candidates } } })]
      case 'choice-end':
        return this.#isGuided ? [] : [this.#finishChunk(event.choice, event.result)]
      case 'end':
        return this.#isGuided ? event.result.choices.map((choice, index) => this.#finishChunk(index, choice)) : []
      case 'usage':
        return this.#request.includeUsage ? [{ ...this.#chunk([]), usage: usageObject(event.usage) }] : []
      default:
        return []
    }
  }

  #readerOf (index: number): ToolCallReader {
    const reader = this.#readers.get(index) ?? new ToolCallReader(this.#callForm)
    this.#readers.set(index, reader)
    return reader
  }

  /**
   * What some text adds to a choice; at least one delta, which carries the logprobs, though it may be empty while a
   * call may be beginning.
   */
  #deltas (index: number, text: string): Array<ChunkChoice['delta']> {
    if (!this.#request.hasTools) return [{ content: text }]
    const reader = this.#readerOf(index)
    let calls = reader.calls
    const deltas = reader.push(text).map(piece => {
      if (piece.type === 'call') calls++
      return deltaOf(piece, calls - 1, this.#callId(index, calls - 1))
    })
    return deltas.length === 0 ? [{}] : deltas
  }

  #finishChunk (index: number, choice: Choice): ChatCompletionChunk {
    const guided = this.#isGuided && this.#start && this.#result
    const reader = this.#request.hasTools ? this.#readerOf(index) : null
    const [held] = reader?.flush() ?? []
    const reason = reader && reader.calls > 0 && choice.finishReason === 'stop' ? 'tool_calls' : choice.finishReason
    return this.#chunk([{
      index,
      delta: held?.type === 'content' ? { content: held.text } : {},
      logprobs: null,
      finish_reason: reason,
      ...this.#choiceMore(choice)
    }], guided ? { alignment: alignmentObject(this.#start!, this.#result!) } : {})
  }
}
