/** The prompt in the contexts that token guidance contrasts: another system message, a prefix, another model. */
import type { Context } from '../decoding/strategies/strategy-schemas.js'
import type { ModelRuntime } from '../engine/model-runtime.js'
import { RequestError } from '../errors.js'
import type { Prompt } from '../rewards/scorer.js'
import type { TextModel } from '../models/model.js'
import { refuse } from '../validation.js'
import type { ContrastModels } from './contrast-models.js'
import { checkTokens } from './prompt-reader.js'
import type { JobOwner } from './prompt-thread.js'
import type { Prompts } from './prompts.js'
import type { GenerateRequest, PromptInput } from './protocol.js'

/** A prompt that is read before the answer: as it is, or in a context. */
export interface PromptReading {
  readonly tokens: readonly number[]
  /** Who reads it; null is the served model. */
  readonly reader: ModelRuntime | null
  /** Whose context length bounds it, and what holds the tokens, for errors. */
  readonly readerName: string
  readonly source: string
}

/** Null for a side that does not count. */
export interface Contrast { readonly toward: PromptReading | null, readonly away: PromptReading | null }

/** What errors call the served model. */
const ownName = "This model's"

type Policy = {
  readonly model: TextModel, readonly contrastModels: ContrastModels, readonly prompts: Prompts
}

/** The model that reads a context; null is the served one. @throws RequestError naming those there are */
function readerOf ({ contrastModels }: Policy, { model: name }: Context, param: string): ModelRuntime | null {
  if (name === undefined) return null
  const found = contrastModels.get(name)
  if (found) return found
  const names = [...contrastModels.keys()]
  throw refuse(`${param}.model`, names.length === 0
    ? 'needs a server with contrast-models; this one has none for the model'
    : `must be one of ${names.join(', ')} (contrast-models)`, name)
}

const isSystem = (role: string): boolean => role === 'system' || role === 'developer'

/**
 * A prompt in another context: with another system message, and a text before the last user message, or before all of
 * it where it is no chat. Whether there is such a place was checked before (`checkContexts`).
 */
function inContext (input: Exclude<PromptInput, { tokens: unknown }>, { system, prefix = '' }: Context): PromptInput {
  if ('text' in input) return { ...input, text: `${prefix}${input.text}` }
  const rest = system !== undefined && input.messages[0] && isSystem(input.messages[0].role)
    ? input.messages.slice(1)
    : input.messages
  const last = rest.findLastIndex(({ role }) => role === 'user')
  const messages = rest.map((message, index) =>
    index === last ? { ...message, content: `${prefix}${message.content}` } : message)
  return { ...input, messages: system === undefined ? messages : [{ role: 'system', content: system }, ...messages] }
}

/** Tokens of a prompt in another context, as a model reads them; of a prompt of tokens, behind the served one's. */
async function tokensIn (
  { prompts, model: own }: Policy, model: TextModel, input: PromptInput, context: Context, owner: JobOwner
): Promise<readonly number[]> {
  const read = async (reader: TextModel, asked: PromptInput): Promise<readonly number[]> =>
    (await prompts.run(reader, 'tokens', [{ input: asked, param: 'prompt' }], owner))[0]!
  if (!('tokens' in input)) return await read(model, inContext(input, context))
  return [...await read(own, { text: context.prefix ?? '', addSpecialTokens: false }), ...input.tokens]
}

/** @throws RequestError for a context that leaves no room for an answer, and for a model that is not there */
export async function readContrast (
  policy: Policy, { alignment, prompt }: GenerateRequest, owner: JobOwner
): Promise<Contrast> {
  const read = async (side: 'toward' | 'away'): Promise<PromptReading | null> => {
    const context = alignment?.strategy === 'token_guidance' ? alignment.contrast?.[side] : null
    if (!context) return null
    const param = `alignment.contrast.${side}`
    const reader = readerOf(policy, context, param)
    const { model } = reader ?? policy
    const readerName = reader ? `${context.model}'s` : ownName
    const source = `the prompt in the context ${param} has`
    const tokens = await tokensIn(policy, model, prompt, context, owner)
    // A caller's tokens may be rows that the other model's vocabulary is not filled up to.
    if ('tokens' in prompt) checkTokens(model, tokens, 'prompt')
    if (tokens.length >= model.contextLength) {
      throw new RequestError('context_length_exceeded', `${readerName} context length is ${model.contextLength} ` +
        `tokens; ${source} ${tokens.length}`, { param })
    }
    return { tokens, reader, readerName, source }
  }
  return { toward: await read('toward'), away: await read('away') }
}

/** All of a request's prompts, its own first. */
export function readingsOf (input: PromptInput, { tokens }: Prompt, { toward, away }: Contrast): PromptReading[] {
  const source = 'messages' in input ? 'the messages have' : 'the prompt has'
  return [{ tokens, reader: null, readerName: ownName, source }, toward, away].filter(reading => reading !== null)
}
