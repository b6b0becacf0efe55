/**
 * From the events of one or several prompts to OpenAI's legacy text_completion objects: whole, or as chunks while
 * events come.
 */
import { randomUUID } from 'node:crypto'
import type { Choice, DecodeResult } from '../../decoding/result.js'
import type { TokenLogprob } from '../../policies/drawn-token.js'
import type { RequestError } from '../../errors.js'
import type { GenerationEvent, GenerationStart, PromptLogprobs, Usage } from '../../serving/protocol.js'
import {
  alignmentObject, choiceAlignment, fingerprintOf, usageObject, type Json
} from '../alignment/alignment-formatter.js'
import { joinLogprobs, LegacyLogprobsWriter, type LegacyLogprobs } from './legacy-logprobs.js'
import type { Formatter } from '../chat/chat-formatter.js'
import type { CompletionRequest } from './completion-schema.js'
import type { Usage as WireUsage } from '../wire-types.js'

/** An event of one of the request's prompts. */
export interface PromptEvent { readonly prompt: number, readonly event: GenerationEvent }

/** What is known of one prompt's generation. */
interface Progress {
  start?: GenerationStart
  promptLogprobs?: PromptLogprobs
  result?: DecodeResult
  usage?: Usage
  /** Per choice, for streams. */
  readonly writers: Map<number, LegacyLogprobsWriter>
}

/** The usage of several generations together. */
function sumUsage (usages: readonly Usage[]): Usage {
  return usages.reduce((sum, usage) => Object.fromEntries(Object.entries(sum).map(([name, value]) =>
    [name, (value as number) + usage[name as keyof Usage]])) as unknown as Usage)
}

export class CompletionFormatter implements Formatter<PromptEvent> {
  readonly #request: CompletionRequest
  readonly #head: Json
  readonly #progress: readonly Progress[]

  constructor (request: CompletionRequest) {
    this.#request = request
    this.#head = {
      id: `cmpl-${randomUUID()}`,
      object: 'text_completion',
      created: Math.floor(Date.now() / 1000),
      model: request.modelName,
      system_fingerprint: fingerprintOf(request.model, request.generations[0]!)
    }
    this.#progress = request.generations.map(() => ({ writers: new Map() }))
  }

  get #isGuided (): boolean { return this.#request.generations[0]!.alignment !== null }

  see ({ prompt, event }: PromptEvent): void {
    const progress = this.#progress[prompt]!
    if (event.type === 'start') progress.start = event.start
    else if (event.type === 'prompt') progress.promptLogprobs = event.logprobs
    else if (event.type === 'end') progress.result = event.result
    else if (event.type === 'usage') progress.usage = event.usage
  }

  /** The prompt's text, where it is echoed. */
  #echoed (prompt: number): string { return this.#request.echo ? this.#progress[prompt]!.start?.promptText ?? '' : '' }

  #logprobs (writer: LegacyLogprobsWriter, tokens: readonly TokenLogprob[]): LegacyLogprobs | null {
    return this.#request.generations[0]!.sampling.topLogprobs === null ? null : writer.next(tokens)
  }

  /** The logprobs of a whole choice, its echoed prompt included. */
  #wholeLogprobs (prompt: number, choice: Choice): LegacyLogprobs | null {
    const writer = new LegacyLogprobsWriter(0)
    const { promptLogprobs } = this.#progress[prompt]!
    const before = promptLogprobs ? writer.next(promptLogprobs) : null
    const own = this.#logprobs(writer, choice.logprobs)
    return before && own ? joinLogprobs(before, own) : own
  }

  #choiceMore (prompt: number, choice: Choice): Json {
    return {
      ...(this.#isGuided ? { alignment: choiceAlignment(choice) } : {}),
      ...(this.#request.returnTokenIds
        ? { prompt_token_ids: this.#progress[prompt]!.start?.promptTokenIds, token_ids: choice.tokenIds }
        : {})
    }
  }

  /** The guidance of every prompt's generation: one object, or a list in the order of the prompts. */
  #alignment (): Json {
    if (!this.#isGuided) return {}
    const objects = this.#progress.map(({ start, result }) => start && result ? alignmentObject(start, result) : null)
    return { alignment: objects.length === 1 ? objects[0] : objects }
  }

  #usage (): WireUsage {
    return usageObject(sumUsage(this.#progress.map(({ usage }) => usage!)))
  }

  completion (): Json {
    const choices = this.#progress.flatMap(({ result }, prompt) => (result?.choices ?? []).map((choice, index) => ({
      index: prompt * this.#request.n + index,
      text: this.#echoed(prompt) + choice.text,
      logprobs: this.#wholeLogprobs(prompt, choice),
      finish_reason: choice.finishReason,
      ...this.#choiceMore(prompt, choice)
    })))
    return { ...this.#head, choices, usage: this.#usage(), ...this.#alignment() }
  }

  #chunk (choices: readonly Json[], more: Json = {}): Json {
    return { ...this.#head, choices, ...(this.#request.includeUsage ? { usage: null } : {}), ...more }
  }

  #textChunk (prompt: number, choice: number, text: string, logprobs: LegacyLogprobs | null): Json {
    return this.#chunk([{ index: prompt * this.#request.n + choice, text, logprobs, finish_reason: null }])
  }

  #writer (prompt: number, choice: number): LegacyLogprobsWriter {
    const { writers } = this.#progress[prompt]!
    const writer = writers.get(choice) ?? new LegacyLogprobsWriter(this.#echoed(prompt).length)
    writers.set(choice, writer)
    return writer
  }

  /** The chunks that open a prompt's choices: the echoed prompt. */
  #opening (prompt: number): Json[] {
    const { promptLogprobs } = this.#progress[prompt]!
    return Array.from({ length: this.#request.n }, (_, choice) =>
      this.#textChunk(prompt, choice, this.#echoed(prompt),
        promptLogprobs ? new LegacyLogprobsWriter(0).next(promptLogprobs) : null))
  }

  readonly closing = ['[DONE]']

  failure (error: RequestError): object[] { return [error.toBody()] }

  chunks (promptEvent: PromptEvent): Json[] {
    this.see(promptEvent)
    const { prompt, event } = promptEvent
    switch (event.type) {
      case 'start':
        // With logprobs asked for, they come first.
        return this.#request.echo && this.#request.generations[prompt]!.promptLogprobs === null
          ? this.#opening(prompt)
          : []
      case 'prompt':
        return this.#opening(prompt)
      case 'text':
        return [this.#textChunk(prompt, event.choice, event.text,
          this.#logprobs(this.#writer(prompt, event.choice), event.logprobs))]
      case 'progress':
        return [this.#chunk([], { alignment: { prompt, progress: { candidates: event.candidates } } })]
      case 'choice-end':
        return this.#isGuided ? [] : [this.#finishChunk(prompt, event.choice, event.result)]
      case 'end':
        return this.#isGuided
          ? event.result.choices.map((choice, index) => this.#finishChunk(prompt, index, choice))
          : []
      case 'usage':
        return this.#request.includeUsage && this.#progress.every(({ usage }) => usage)
          ? [{ ...this.#chunk([]), usage: this.#usage() }]
          : []
      default:
        return []
    }
  }

  #finishChunk (prompt: number, index: number, choice: Choice): Json {
    const { start, result } = this.#progress[prompt]!
    const more = this.#isGuided && start && result ? { alignment: alignmentObject(start, result) } : {}
    return this.#chunk([{
      index: prompt * this.#request.n + index,
      text: '',
      logprobs: null,
      finish_reason: choice.finishReason,
      ...this.#choiceMore(prompt, choice)
    }], more)
  }
}
