/**
 * From the events of one or several prompts to OpenAI's legacy text_completion objects: whole, or as chunks while
 * events come.
 */
import { randomUUID } from 'node:crypto'
import { codePoints } from '../../code-points.js'
import type { Choice } from '../../decoding/result.js'
import type { TokenLogprob } from '../../policies/drawn-token.js'
import type { GenerationEvent, Usage } from '../../serving/protocol.js'
import { fingerprintOf, GenerationState, secondsNow } from '../generation/generation-state.js'
import { completionUsage } from '../generation/usage-formatter.js'
import { ChunkFormatter } from '../transport/formatter.js'
import type { Usage as WireUsage } from '../chat/chat-types.js'
import type { CompletionRequest } from './completion-schema.js'
import type {
  Completion, CompletionChoice, CompletionChunk, CompletionChunkChoice, LegacyLogprobs
} from './completion-types.js'
import { joinLogprobs, LegacyLogprobsWriter } from './legacy-logprobs.js'

/** An event of one of the request's prompts. */
export interface PromptEvent { readonly prompt: number, readonly event: GenerationEvent }

/** The usage of several generations together. */
function sumUsage (usages: readonly Usage[]): Usage {
  const add = <T extends object>(one: T, other: T): T => Object.fromEntries(Object.entries(one).map(([name, value]) =>
    [name, (value as number) + (other[name as keyof T] as number)])) as unknown as T
  return usages.reduce(({ engine: one, ...sum }, { engine: other, ...usage }) =>
    ({ ...add(sum, usage), engine: one && other && add(one, other) }))
}

/** One prompt of a request: its generation, and how far the logprobs of its streamed choices are. */
class PromptState extends GenerationState {
  readonly #echo: boolean
  readonly #writers = new Map<number, LegacyLogprobsWriter>()

  constructor ({ generations, echo }: CompletionRequest, prompt: number) {
    super(generations[prompt]!)
    this.#echo = echo
  }

  /** The prompt's text, where it is echoed. */
  get echoed (): string { return this.#echo ? this.start?.promptText ?? '' : '' }

  /** Logprobs of the echoed prompt, where they are asked for. */
  get echoedLogprobs (): LegacyLogprobs | null {
    return this.promptLogprobs ? new LegacyLogprobsWriter(0).next(this.promptLogprobs) : null
  }

  /** Logprobs of a whole choice, its echoed prompt included. */
  wholeLogprobs ({ logprobs }: Choice): LegacyLogprobs | null {
    if (!this.hasLogprobs) return null
    const writer = new LegacyLogprobsWriter(0)
    const before = this.promptLogprobs ? writer.next(this.promptLogprobs) : null
    const own = writer.next(logprobs)
    return before ? joinLogprobs(before, own) : own
  }

  /** Logprobs of the next tokens of a choice. */
  nextLogprobs (choice: number, tokens: readonly TokenLogprob[]): LegacyLogprobs | null {
    if (!this.hasLogprobs) return null
    const writer = this.#writers.get(choice) ?? new LegacyLogprobsWriter(codePoints(this.echoed))
    this.#writers.set(choice, writer)
    return writer.next(tokens)
  }
}

/** Makes one request's objects. */
export class CompletionFormatter extends ChunkFormatter<PromptEvent> {
  readonly #request: CompletionRequest
  readonly #head: Omit<Completion, 'choices' | 'usage' | 'alignment'>
  readonly #prompts: readonly PromptState[]

  constructor (request: CompletionRequest) {
    super()
    this.#request = request
    this.#prompts = request.generations.map((_, prompt) => new PromptState(request, prompt))
    this.#head = {
      id: `cmpl-${randomUUID()}`,
      object: 'text_completion',
      created: secondsNow(),
      model: request.modelName,
      system_fingerprint: fingerprintOf(request.model, request.generations[0]!)
    }
  }

  see ({ prompt, event }: PromptEvent): void { this.#prompts[prompt]!.see(event) }

  #choiceFields (
    prompt: number, choice: Choice
  ): Pick<CompletionChoice, 'alignment' | 'prompt_token_ids' | 'token_ids'> {
    const state = this.#prompts[prompt]!
    return {
      ...state.choiceAlignmentField(choice),
      ...(this.#request.returnTokenIds
        ? { prompt_token_ids: state.start!.promptTokenIds, token_ids: choice.tokenIds }
        : {})
    }
  }

  /** The guidance of every prompt's generation: one object, or a list in the order of the prompts. */
  #alignmentField (): Pick<Completion, 'alignment'> {
    if (!this.#prompts[0]!.isGuided) return {}
    const objects = this.#prompts.map(({ alignment }) => alignment)
    return { alignment: objects.length === 1 ? objects[0]! : objects }
  }

  #usage (): WireUsage { return completionUsage(sumUsage(this.#prompts.map(({ usage }) => usage!))) }

  #indexOf (prompt: number, choice: number): number { return prompt * this.#request.n + choice }

  completion (): Completion {
    const choices = this.#prompts.flatMap((state, prompt) => (state.result?.choices ?? []).map((choice, index) => ({
      index: this.#indexOf(prompt, index),
      text: state.echoed + choice.text,
      logprobs: state.wholeLogprobs(choice),
      finish_reason: choice.finishReason,
      ...this.#choiceFields(prompt, choice)
    })))
    return { ...this.#head, choices, usage: this.#usage(), ...this.#alignmentField() }
  }

  #chunk (
    choices: readonly CompletionChunkChoice[],
    more: Pick<CompletionChunk, 'usage' | 'alignment' | 'journal' | 'prompt'> = {}
  ): CompletionChunk {
    return { ...this.#head, choices, ...(this.#request.includeUsage ? { usage: null } : {}), ...more }
  }

  #textChunk (prompt: number, choice: number, text: string, logprobs: LegacyLogprobs | null): CompletionChunk {
    return this.#chunk([{ index: this.#indexOf(prompt, choice), text, logprobs, finish_reason: null }])
  }

  /** The chunks that open a prompt's choices: the echoed prompt. */
  #openingChunks (prompt: number): CompletionChunk[] {
    const { echoed, echoedLogprobs } = this.#prompts[prompt]!
    return Array.from({ length: this.#request.n }, (_, choice) =>
      this.#textChunk(prompt, choice, echoed, echoedLogprobs))
  }

  #finishChunk (prompt: number, index: number, choice: Choice): CompletionChunk {
    return this.#chunk([{
      index: this.#indexOf(prompt, index),
      text: '',
      logprobs: null,
      finish_reason: choice.finishReason,
      ...this.#choiceFields(prompt, choice)
    }], this.#prompts[prompt]!.alignmentField())
  }

  chunks (promptEvent: PromptEvent): CompletionChunk[] {
    this.see(promptEvent)
    const { prompt, event } = promptEvent
    const { echo, generations, includeUsage } = this.#request
    const state = this.#prompts[prompt]!
    switch (event.type) {
      case 'start':
        // With logprobs asked for, they come first.
        return echo && generations[prompt]!.promptLogprobs === null ? this.#openingChunks(prompt) : []
      case 'prompt':
        return this.#openingChunks(prompt)
      case 'text':
        return [this.#textChunk(prompt, event.choice, event.text, state.nextLogprobs(event.choice, event.logprobs))]
      case 'progress':
        return [this.#chunk([], { alignment: { prompt, progress: { candidates: event.candidates } } })]
      case 'journal':
        return [this.#chunk([], { journal: event.entries, prompt })]
      case 'usage':
        return includeUsage && this.#prompts.every(({ usage }) => usage)
          ? [this.#chunk([], { usage: this.#usage() })]
          : []
      default:
        return state.ended(event).map(([index, choice]) => this.#finishChunk(prompt, index, choice))
    }
  }
}
