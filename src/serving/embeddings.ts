/**
 * Embeddings of texts: the mean of the last layer's hidden states over the tokens, scaled to length one. A by-product
 * of a policy, not a model trained for it.
 */
import { sideBySide } from '../bounded-concurrency.js'
import { RequestError } from '../errors.js'
import { readablePolicy, type ReadablePolicy } from '../rewards/readable-policy.js'
import type { PromptInput } from './protocol.js'
import { checkPromptTokens } from './request-rules.js'
import type { LocalModel } from './served-models.js'
import type { Embedded, EmbedRequest } from './calls.js'
import { requestScope } from './request-scope.js'

/** Inputs read at the same time: enough for the engine to fill its steps. */
const inFlight = 8

function unitLength (vector: Float32Array): Float32Array {
  const length = Math.hypot(...vector)
  return vector.map(value => value / length)
}

/** Inputs tokenised in one turn. */
const tokenizedTogether = 64

/** Tokens of each input. @throws RequestError for one that is empty or too long, and where all are too many */
async function readInputs (
  { model, config, prompts }: LocalModel, inputs: readonly PromptInput[], caller: string, signal: AbortSignal
): Promise<ReadonlyArray<readonly number[]>> {
  const named = inputs.map((input, index) => ({ input, param: inputs.length === 1 ? 'input' : `input[${index}]` }))
  const read: number[][] = []
  let total = 0
  for (let start = 0; start < named.length; start += tokenizedTogether) {
    const some = named.slice(start, start + tokenizedTogether)
    const tokens = await prompts.run(model, 'tokens', some, { caller, signal })
    for (const [index, { length }] of tokens.entries()) checkInput(model, some[index]!.param, length)
    total += tokens.reduce((sum, { length }) => sum + length, 0)
    checkPromptTokens(config, total, 'input')
    read.push(...tokens)
  }
  return read
}

function checkInput ({ contextLength }: LocalModel['model'], param: string, tokens: number): void {
  if (tokens === 0) throw new RequestError('invalid_request', `${param} must hold at least one token`, { param })
  if (tokens >= contextLength) {
    throw new RequestError('context_length_exceeded',
      `This model's context length is ${contextLength} tokens; ${param} has ${tokens}`, { param })
  }
}

/** @throws RequestError for an input that is empty or longer than the context */
export async function embed (
  served: LocalModel, { inputs, cacheSalt, caller = '' }: EmbedRequest, signal: AbortSignal
): Promise<Embedded> {
  const tokens = await readInputs(served, inputs, caller, signal)
  // Of its own: a request takes one place in the engine's queue, however many inputs it has.
  const policy = readablePolicy(served, caller)
  const embeddings = new Array<Float32Array>(inputs.length)
  const scope = requestScope(signal)
  try {
    await sideBySide([...tokens.entries()], inFlight, async ([index, read]) => {
      embeddings[index] = await embedOne(policy, read, cacheSalt, scope.signal)
    })
  } finally {
    scope.end()
  }
  return { embeddings, promptTokens: tokens.reduce((sum, one) => sum + one.length, 0) }
}

async function embedOne (
  { source, layers: layer, reserve }: ReadablePolicy, tokens: readonly number[], salt: string, signal: AbortSignal
): Promise<Float32Array> {
  const reservation = await reserve(1, tokens.length, signal)
  try {
    const sequence = source.open(tokens, { layers: [layer], poolFrom: 0, listedLogits: true, salt, signal })
    try {
      return unitLength((await sequence.output()).pooled(layer))
    } finally {
      sequence.close()
    }
  } finally {
    reservation.release()
  }
}
