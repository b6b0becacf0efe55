/** From Fairlead's events to OpenAI's chat objects: whole, or as chunks while events come. */
import { randomUUID } from 'node:crypto'
import type { Choice, DecodeResult, RatedToken, TokenLogprob } from '../decoding/runtime.js'
import type { RequestError } from '../errors.js'
import type { GenerationEvent, GenerationStart, ModelInfo, Usage } from '../inference/protocol.js'
import { alignmentObject, choiceAlignment, usageObject } from './alignment-format.js'
import type { ChatCompletionRequest } from './schemas/chat-completion.js'
import type { ChatChoice, ChatCompletion, ChatCompletionChunk, ChoiceLogprobs, ChunkChoice, RatedToken as WireToken } from './wire-types.js'

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
  const token = ({ bytes, logprob }: RatedToken): WireToken => ({ token: Buffer.from(bytes).toString(), logprob, bytes: [...bytes] })
  return logprobs.map(one => ({ ...token(one), top_logprobs: one.top.map(token) }))
}

/** Makes one completion's objects. */
export class ChatFormatter implements Formatter<GenerationEvent> {
  readonly #request: ChatCompletionRequest
  readonly #head: Pick<ChatCompletion, 'id' | 'created' | 'model' | 'system_fingerprint'>
  #start: GenerationStart | null = null
  #result: DecodeResult | null = null
  #usage: Usage | null = null

  constructor (request: ChatCompletionRequest, { fingerprint }: ModelInfo) {
    this.#request = request
    this.#head = { id: `chatcmpl-${randomUUID()}`, created: Math.floor(Date.now() / 1000), model: request.modelName, system_fingerprint: fingerprint }
  }

  get #isGuided (): boolean { return this.#request.generate.alignment !== null }

  see (event: GenerationEvent): void {
    if (event.type === 'start') this.#start = event.start
    else if (event.type === 'end') this.#result = event.result
    else if (event.type === 'usage') this.#usage = event.usage
  }

  #logprobs (logprobs: readonly TokenLogprob[]): ChoiceLogprobs | null {
    return this.#request.generate.sampling.topLogprobs === null ? null : { content: logprobObjects(logprobs), refusal: null }
  }

  /** The response's own fields: `alignment`, the prompt's tokens. */
  #more (): Pick<ChatCompletion, 'alignment' | 'prompt_token_ids'> {
    return {
      ...(this.#isGuided && this.#start && this.#result ? { alignment: alignmentObject(this.#start, this.#result) } : {}),
      ...(this.#request.returnTokenIds ? { prompt_token_ids: this.#start!.promptTokenIds } : {})
    }
  }

  #choiceMore (choice: Choice): Pick<ChatChoice, 'alignment' | 'token_ids'> {
    return { ...(this.#isGuided ? { alignment: choiceAlignment(choice) } : {}), ...(this.#request.returnTokenIds ? { token_ids: choice.tokenIds } : {}) }
  }

  completion (): ChatCompletion {
    const choices = this.#result!.choices.map((choice, index): ChatChoice => ({
      index,
      message: { role: 'assistant', content: this.#request.echoed + choice.text, refusal: null },
      logprobs: this.#logprobs(choice.logprobs),
      finish_reason: choice.finishReason,
      ...this.#choiceMore(choice)
    }))
    return { ...this.#head, object: 'chat.completion', choices, usage: usageObject(this.#usage!), ...this.#more() }
  }

  #chunk (choices: ChunkChoice[], more: Pick<ChatCompletionChunk, 'alignment' | 'prompt_token_ids'> = {}): ChatCompletionChunk {
    return { ...this.#head, object: 'chat.completion.chunk', choices, ...(this.#request.includeUsage ? { usage: null } : {}), ...more }
  }

  /** The chunks that open a stream: the role of every choice, and what it begins with. */
  #opening (): ChatCompletionChunk[] {
    const { returnTokenIds, echoed, generate } = this.#request
    const more = returnTokenIds ? { prompt_token_ids: this.#start!.promptTokenIds } : {}
    return Array.from({ length: generate.n }, (_, index) => this.#chunk([{ index, delta: { role: 'assistant', content: echoed }, logprobs: null, finish_reason: null }], index === 0 ? more : {}))
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
        return [this.#chunk([{ index: event.choice, delta: { content: event.text }, logprobs: this.#logprobs(event.logprobs), finish_reason: null }])]
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

  #finishChunk (index: number, choice: Choice): ChatCompletionChunk {
    const guided = this.#isGuided && this.#start && this.#result
    return this.#chunk([{ index, delta: {}, logprobs: null, finish_reason: choice.finishReason, ...this.#choiceMore(choice) }], guided ? { alignment: alignmentObject(this.#start!, this.#result!) } : {})
  }
}
