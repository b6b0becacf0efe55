/**
 * The body of `POST /v1/completions`: OpenAI's legacy endpoint, one or several prompts of text or token ids, and what
 * it asks of the inference thread.
 */
import { Type, type Static } from 'typebox'
import { nullable } from '../../checker.js'
import { parseAlignment } from '../../decoding/strategies/parse-alignment.js'
import { answersGrown } from '../../decoding/strategies/strategy-footprint.js'
import { RequestError } from '../../errors.js'
import type { GenerateRequest, ModelInfo } from '../../serving/protocol.js'
import { checkedRequest } from '../../serving/request-rules.js'
import { refuse } from '../../validation.js'
import { fingerprintOf } from '../generation/generation-state.js'
import { asSent, type ShownRequest } from '../generation/run-head.js'
import type { Catalog } from '../models/model-catalog.js'
import { formatOf } from '../chat/response-format-schema.js'
import { openBody } from '../schemas/body.js'
import { journalOf } from '../schemas/journal-schema.js'
import { promptSchema, promptsOf } from '../schemas/prompt-schema.js'
import { checkHeld, draftsOf, samplingFields, samplingOf } from '../schemas/sampling.js'

export const completionSchema = Type.Object({
  prompt: promptSchema(128),
  ...samplingFields,
  add_special_tokens: Type.Boolean({
    default: true, description: 'begin text with the model’s beginning token, where it has one'
  }),
  max_tokens: nullable(Type.Integer({ minimum: 0, maximum: 1 << 20 }),
    { default: 16, description: 'maximum tokens to generate; 0 reads the prompt only' }),
  logprobs: nullable(Type.Integer({ minimum: 0, maximum: 20 }),
    { default: null, description: 'alternatives per token' }),
  echo: Type.Boolean({ default: false, description: 'put the prompt, with its logprobs, before the answer' }),
  best_of: nullable(Type.Integer({ minimum: 1, maximum: 128 }),
    { default: null, description: 'answers drawn; the n with the highest mean token logprob are returned' })
})

export type CompletionBody = Static<typeof completionSchema>

export const completionBody = openBody(completionSchema)

/** A checked body and what it asks of the inference thread: a generation per prompt. */
export interface CompletionRequest {
  readonly generations: readonly GenerateRequest[]
  /** The model that answers. */
  readonly model: ModelInfo
  readonly modelName: string
  /** The request as its journals tell it. */
  readonly shown: ShownRequest
  /** Choices per prompt. */
  readonly n: number
  readonly stream: boolean
  readonly includeUsage: boolean
  readonly returnTokenIds: boolean
  readonly echo: boolean
}

/**
 * Logprobs per position over all echoed prompts, at most: a prompt may be as long as the context, and an answer must
 * fit memory.
 */
const mostEchoedLogprobs = 256

interface Counts { readonly prompts: number, readonly drawn: number, readonly maxTokens: number }

/** The operator's ceiling holds for all prompts of a request together. */
function checkCeiling (generation: GenerateRequest, { prompts, drawn, maxTokens }: Counts, ceiling: number): void {
  const asked = prompts * answersGrown(generation.alignment, drawn) * maxTokens
  if (asked > ceiling) {
    throw new RequestError('budget_exceeded', `a request may generate ${ceiling} tokens (max-tokens-per-request); ` +
      `this one asks for ${asked} over ${prompts} prompts`, { param: 'max_tokens' })
  }
}

/**
 * What a checked body asks for.
 * @param maxTokensPerRequest the operator's ceiling
 * @throws RequestError for fields that contradict each other
 */
export function parseCompletion (
  body: CompletionBody, catalog: Catalog, maxTokensPerRequest: number
): CompletionRequest {
  const prompts = promptsOf(body.prompt, body.add_special_tokens)
  const { model, alignment: asked } = catalog.choose(body.model, body.alignment)
  const alignment = asked === null ? null : parseAlignment(asked)
  const grammar = formatOf(body)
  checkHeld(body, grammar)
  const drawn = body.best_of ?? body.n
  const maxTokens = body.max_tokens ?? 16
  if (drawn < body.n) throw refuse('best_of', `must be at least n = ${body.n}`, drawn)
  if (drawn > body.n &&
      body.stream) throw refuse('best_of', 'cannot be streamed: the best is known when all have ended', drawn)
  if (drawn > body.n &&
      alignment) throw refuse('best_of', 'cannot be given with alignment, which has num_candidates', drawn)
  if (body.echo && body.logprobs !== null && prompts.length * (body.logprobs + 1) > mostEchoedLogprobs) {
    throw refuse('logprobs', `must, with echo and ${prompts.length} prompts, be at most ` +
      `${Math.floor(mostEchoedLogprobs / prompts.length) - 1}`, body.logprobs)
  }
  if (maxTokens === 0 && alignment) throw refuse('max_tokens', 'must be at least 1 with alignment', 0)
  const drafts = draftsOf({ ...body, alignment }, drawn * prompts.length)
  const generations = prompts.map(prompt => checkedRequest({
    model: model.id,
    prompt,
    promptLogprobs: body.echo ? body.logprobs : null,
    n: body.n,
    bestOf: body.best_of,
    sampling: samplingOf(body, maxTokens, body.logprobs),
    skipSpecialTokens: body.skip_special_tokens,
    seed: body.seed,
    alignment,
    cacheSalt: body.cache_salt,
    priority: body.priority,
    grammar,
    drafts,
    journal: journalOf(body.stream_options?.include_journal)
  }))
  checkCeiling(generations[0]!, { prompts: prompts.length, drawn, maxTokens }, maxTokensPerRequest)
  return {
    generations,
    model,
    modelName: body.model,
    shown: { model: body.model, fingerprint: fingerprintOf(model, { drafts }), body: asSent(body, completionSchema) },
    n: body.n,
    stream: body.stream,
    includeUsage: body.stream_options?.include_usage ?? false,
    returnTokenIds: body.return_token_ids,
    echo: body.echo
  }
}
