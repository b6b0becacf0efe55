/** From a generation's events to OpenAI's response objects: whole, or as typed events while they come. */
import type { RequestError } from '../../errors.js'
import type { Choice } from '../../decoding/result.js'
import type { GenerationEvent } from '../../serving/protocol.js'
import { GenerationState, secondsNow } from '../generation/generation-state.js'
import { responseUsage } from '../generation/usage-formatter.js'
import type { Formatter } from '../transport/formatter.js'
import { OutputItems } from './output-items.js'
import { newId } from './item-schema.js'
import type { ResponseRequest } from './response-create-schema.js'
import type { ResponseEvent, ResponseObject, ResponseStatus } from './response-types.js'

/** What of a request is given back as it was, or as it is understood. */
function echoOf ({ body, format }: ResponseRequest): object {
  return {
    background: body.background,
    instructions: body.instructions,
    max_output_tokens: body.max_output_tokens,
    max_tool_calls: null,
    metadata: body.metadata,
    parallel_tool_calls: body.parallel_tool_calls,
    previous_response_id: body.previous_response_id,
    prompt_cache_key: body.prompt_cache_key,
    reasoning: { effort: null, summary: null },
    safety_identifier: body.safety_identifier,
    service_tier: 'default',
    store: body.store,
    temperature: body.temperature,
    text: { format },
    tool_choice: body.tool_choice ?? 'auto',
    tools: body.tools ?? [],
    top_logprobs: body.top_logprobs ?? 0,
    top_p: body.top_p,
    truncation: body.truncation,
    user: body.user
  }
}

/** Makes one response's objects and follows what becomes of it. */
export class ResponseFormatter implements Formatter<GenerationEvent> {
  readonly id = newId('resp')
  readonly #request: ResponseRequest
  readonly #head: Pick<ResponseObject, 'id' | 'object' | 'created_at' | 'model' | 'system_fingerprint'>
  readonly #generation: GenerationState
  readonly #output: OutputItems
  readonly #onEnd: () => Promise<boolean>
  #sequenceNumber = 0
  #status: ResponseStatus
  #wasCreated = false
  #completedAt: number | null = null
  #error: ResponseObject['error'] = null
  #isStored: boolean

  /**
   * @param onEnd called once the response has its last status, before its last event is sent; returns whether it is
   * kept where it was to be stored
   */
  constructor (request: ResponseRequest, onEnd: () => Promise<boolean> = async () => true) {
    this.#request = request
    this.#onEnd = onEnd
    this.#isStored = request.body.store
    this.#status = request.body.background ? 'queued' : 'in_progress'
    this.#generation = new GenerationState(request.generate)
    const { isGuided, hasLogprobs } = this.#generation
    this.#output = new OutputItems(
      { callForm: request.model.callForm, hasTools: request.hasTools, hasLogprobs, isGuided },
      (type, fields) => this.#event(type, fields)
    )
    this.#head = {
      id: this.id,
      object: 'response',
      created_at: secondsNow(),
      model: request.body.model,
      system_fingerprint: request.model.fingerprint,
      ...echoOf(request)
    }
  }

  get status (): ResponseStatus { return this.#status }
  get hasEnded (): boolean { return this.#status !== 'queued' && this.#status !== 'in_progress' }

  async #end (status: ResponseStatus): Promise<void> {
    this.#status = status
    if (status === 'completed') this.#completedAt = secondsNow()
    if (!await this.#onEnd()) this.#isStored = false
  }

  async see (event: GenerationEvent): Promise<void> {
    this.#generation.see(event)
    if (event.type === 'start') this.#status = 'in_progress'
    else if (event.type === 'usage') {
      await this.#end(this.#choice?.finishReason === 'length' ? 'incomplete' : 'completed')
    }
  }

  /** The answer; undefined before it is known and where none was asked for. */
  get #choice (): Choice | undefined {
    return this.#request.generate.sampling.maxTokens === 0 ? undefined : this.#generation.result?.choices[0]
  }

  /** The response as it is now. */
  completion (): ResponseObject {
    const choice = this.#choice
    const { usage, start } = this.#generation
    return {
      ...this.#head,
      store: this.#isStored,
      status: this.#status,
      completed_at: this.#completedAt,
      error: this.#error,
      incomplete_details: this.#status === 'incomplete' ? { reason: 'max_output_tokens' } : null,
      output: choice ? this.#output.items(choice) : [],
      usage: usage ? responseUsage(usage) : null,
      ...(start && start.droppedMessages > 0 ? { dropped_messages: start.droppedMessages } : {}),
      ...this.#generation.alignmentField()
    }
  }

  readonly closing: readonly string[] = []

  #event (type: string, fields: object): ResponseEvent {
    return { type, sequence_number: this.#sequenceNumber++, ...fields }
  }

  #statusEvent (type: string): ResponseEvent { return this.#event(`response.${type}`, { response: this.completion() }) }

  #created (): ResponseEvent[] {
    if (this.#wasCreated) return []
    this.#wasCreated = true
    return [this.#statusEvent('created')]
  }

  /** The events of a response that waits in the background. */
  queued (): ResponseEvent[] { return [...this.#created(), this.#statusEvent('queued')] }

  /** Ends it before its time, if it has not ended. */
  async failure (error: RequestError): Promise<ResponseEvent[]> {
    if (this.hasEnded) return []
    this.#error = { code: error.code, message: error.message }
    await this.#end('failed')
    return [this.#statusEvent('failed')]
  }

  /** Ends one of the background as its caller wishes. OpenAI has no event for it: a stream just ends. */
  cancel (): void { if (!this.hasEnded) this.#status = 'cancelled' }

  async chunks (event: GenerationEvent): Promise<ResponseEvent[]> {
    await this.see(event)
    switch (event.type) {
      case 'accepted':
        return this.#created()
      case 'start':
        return [this.#statusEvent('in_progress')]
      case 'text':
        return this.#output.text(event.text, event.logprobs)
      case 'progress':
        return [this.#event('response.alignment.progress', { step: event.step, candidates: event.candidates })]
      case 'end':
        return this.#choice ? this.#output.end(this.#choice) : []
      case 'usage':
        return [this.#statusEvent(this.#status)]
      default:
        return []
    }
  }
}
