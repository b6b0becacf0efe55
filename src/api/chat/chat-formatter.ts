/** From a generation's events to OpenAI's chat objects: whole, or as chunks while events come. */
import { randomUUID } from 'node:crypto'
import type { Choice } from '../../decoding/result.js'
import type { TokenLogprob } from '../../policies/drawn-token.js'
import type { GenerationEvent } from '../../serving/protocol.js'
import { fingerprintOf, GenerationState, secondsNow } from '../generation/generation-state.js'
import { logprobObjects } from '../generation/logprobs-formatter.js'
import { completionUsage } from '../generation/usage-formatter.js'
import { ChunkFormatter } from '../transport/formatter.js'
import { toolCallsOf, ToolCallDeltas, type CallIds } from './tool-calls.js'
import type { ChatCompletionRequest } from './chat-completion-schema.js'
import type { ChatChoice, ChatCompletion, ChatCompletionChunk, ChoiceLogprobs, ChunkChoice } from './chat-types.js'

/** Makes one completion's objects. */
export class ChatFormatter extends ChunkFormatter<GenerationEvent> {
  readonly #request: ChatCompletionRequest
  readonly #head: Pick<ChatCompletion, 'id' | 'created' | 'model' | 'system_fingerprint'>
  readonly #generation: GenerationState
  /** Per choice, of streams in which functions may be called. */
  readonly #toolCalls = new Map<number, ToolCallDeltas>()

  constructor (request: ChatCompletionRequest) {
    super()
    this.#request = request
    this.#generation = new GenerationState(request.generate)
    this.#head = {
      id: `chatcmpl-${randomUUID()}`,
      created: secondsNow(),
      model: request.modelName,
      system_fingerprint: fingerprintOf(request.model, request.generate)
    }
  }

  see (event: GenerationEvent): void { this.#generation.see(event) }

  #logprobs (logprobs: readonly TokenLogprob[]): ChoiceLogprobs | null {
    return this.#generation.hasLogprobs ? { content: logprobObjects(logprobs), refusal: null } : null
  }

  #promptTokens (): Pick<ChatCompletion, 'prompt_token_ids'> {
    return this.#request.returnTokenIds ? { prompt_token_ids: this.#generation.start!.promptTokenIds } : {}
  }

  #choiceFields (choice: Choice): Pick<ChatChoice, 'alignment' | 'token_ids'> {
    return {
      ...this.#generation.choiceAlignmentField(choice),
      ...(this.#request.returnTokenIds ? { token_ids: choice.tokenIds } : {})
    }
  }

  #callIds (choice: number): CallIds {
    const id = this.#head.id.replace('chatcmpl-', '').replaceAll('-', '').slice(0, 20)
    return call => `call_${id}${choice}_${call}`
  }

  /** The message of a whole answer, and why it ended. */
  #messageOf ({ text, finishReason }: Choice, index: number): Pick<ChatChoice, 'message' | 'finish_reason'> {
    const { hasTools, model, echoed } = this.#request
    const { content, toolCalls } =
      hasTools ? toolCallsOf(text, model.callForm, this.#callIds(index)) : { content: text, toolCalls: [] }
    const role = 'assistant'
    if (toolCalls.length === 0) {
      return { message: { role, content: echoed + content, refusal: null }, finish_reason: finishReason }
    }
    return {
      message: { role, content: content === '' ? null : content, refusal: null, tool_calls: toolCalls },
      finish_reason: finishReason === 'stop' ? 'tool_calls' : finishReason
    }
  }

  completion (): ChatCompletion {
    const { result, usage } = this.#generation
    return {
      ...this.#head,
      object: 'chat.completion',
      choices: result!.choices.map((choice, index) => ({
        index,
        ...this.#messageOf(choice, index),
        logprobs: this.#logprobs(choice.logprobs),
        ...this.#choiceFields(choice)
      })),
      usage: completionUsage(usage!),
      ...this.#generation.alignmentField(),
      ...this.#promptTokens()
    }
  }

  #chunk (
    choices: ChunkChoice[], more: Pick<ChatCompletionChunk, 'alignment' | 'journal' | 'prompt_token_ids' | 'usage'> = {}
  ): ChatCompletionChunk {
    const usage = this.#request.includeUsage ? { usage: null } : {}
    return { ...this.#head, object: 'chat.completion.chunk', choices, ...usage, ...more }
  }

  /** The chunks that open a stream: the role of every choice, and what it begins with. */
  #openingChunks (): ChatCompletionChunk[] {
    const delta = { role: 'assistant', content: this.#request.echoed } as const
    return Array.from({ length: this.#request.generate.n }, (_, index) =>
      this.#chunk([{ index, delta, logprobs: null, finish_reason: null }], index === 0 ? this.#promptTokens() : {}))
  }

  #toolCallsOf (index: number): ToolCallDeltas | null {
    if (!this.#request.hasTools) return null
    const known = this.#toolCalls.get(index) ?? new ToolCallDeltas(this.#request.model.callForm, this.#callIds(index))
    this.#toolCalls.set(index, known)
    return known
  }

  /** The chunks of some text: at least one, which carries the logprobs, though it may add nothing yet. */
  #textChunks ({ choice: index, text, logprobs }: Extract<GenerationEvent, { type: 'text' }>): ChatCompletionChunk[] {
    const toolCalls = this.#toolCallsOf(index)
    const [first = {}, ...more] = toolCalls ? toolCalls.push(text) : [{ content: text }]
    return [first, ...more].map((delta, at) =>
      this.#chunk([{ index, delta, logprobs: at === 0 ? this.#logprobs(logprobs) : null, finish_reason: null }]))
  }

  #finishChunk (index: number, choice: Choice): ChatCompletionChunk {
    const toolCalls = this.#toolCallsOf(index)
    const [delta = {}] = toolCalls?.flush() ?? []
    const isCalling = toolCalls?.hasCalls && choice.finishReason === 'stop'
    return this.#chunk([{
      index,
      delta,
      logprobs: null,
      finish_reason: isCalling ? 'tool_calls' : choice.finishReason,
      ...this.#choiceFields(choice)
    }], this.#generation.alignmentField())
  }

  chunks (event: GenerationEvent): ChatCompletionChunk[] {
    this.see(event)
    switch (event.type) {
      case 'start':
        return this.#openingChunks()
      case 'text':
        return this.#textChunks(event)
      case 'progress':
        return [this.#chunk([], { alignment: { progress: { step: event.step, candidates: event.candidates } } })]
      case 'journal':
        return [this.#chunk([], { journal: event.entries })]
      case 'usage':
        return this.#request.includeUsage ? [this.#chunk([], { usage: completionUsage(event.usage) })] : []
      default:
        return this.#generation.ended(event).map(([index, choice]) => this.#finishChunk(index, choice))
    }
  }
}
