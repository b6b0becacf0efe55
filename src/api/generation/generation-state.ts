/** One generation as its events tell it, and the fields that every endpoint makes of it. */
import type { Choice, DecodeResult } from '../../decoding/result.js'
import type {
  GenerateRequest, GenerationEvent, GenerationStart, ModelInfo, PromptLogprobs, Usage
} from '../../serving/protocol.js'
import { alignmentObject, choiceAlignment } from '../alignment/alignment-formatter.js'
import type { AlignmentReport, ChoiceAlignment } from '../alignment/alignment-types.js'

/** Seconds since the epoch, as `created` has them. */
export const secondsNow = (): number => Math.floor(Date.now() / 1000)

/**
 * What an answer's bits depend on beside the request. With draft tokens they depend on whether others were being
 * answered, too.
 */
export const fingerprintOf = (
  { fingerprint }: Pick<ModelInfo, 'fingerprint'>, { drafts }: Pick<GenerateRequest, 'drafts'>
): string => drafts ? `${fingerprint}-drafts` : fingerprint

/** Follows one generation. */
export class GenerationState {
  readonly #request: GenerateRequest
  start: GenerationStart | null = null
  promptLogprobs: PromptLogprobs | null = null
  result: DecodeResult | null = null
  usage: Usage | null = null

  constructor (request: GenerateRequest) { this.#request = request }

  get isGuided (): boolean { return this.#request.alignment !== null }
  get hasLogprobs (): boolean { return this.#request.sampling.topLogprobs !== null }

  see (event: GenerationEvent): void {
    if (event.type === 'start') this.start = event.start
    else if (event.type === 'prompt') this.promptLogprobs = event.logprobs
    else if (event.type === 'end') this.result = event.result
    else if (event.type === 'usage') this.usage = event.usage
  }

  /** `alignment` of a response, once a guided generation has ended; null before that, and of others. */
  get alignment (): AlignmentReport | null {
    return this.isGuided && this.start && this.result ? alignmentObject(this.start, this.result) : null
  }

  /** That as a field, where there is one. */
  alignmentField (): { readonly alignment?: AlignmentReport } {
    const { alignment } = this
    return alignment ? { alignment } : {}
  }

  /** `alignment` of a choice, where the generation is guided. */
  choiceAlignmentField (choice: Choice): { readonly alignment?: ChoiceAlignment } {
    return this.isGuided ? { alignment: choiceAlignment(choice) } : {}
  }

  /**
   * The choices that an event ends, by index. Those of a guided generation end together, since the last chunk of each
   * carries its `alignment`.
   */
  ended (event: GenerationEvent): ReadonlyArray<readonly [index: number, choice: Choice]> {
    if (event.type === 'choice-end' && !this.isGuided) return [[event.choice, event.result]]
    return event.type === 'end' && this.isGuided ? [...event.result.choices.entries()] : []
  }
}
