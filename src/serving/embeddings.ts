/**
 * Embeddings of texts: the mean of the last layer's hidden states over the tokens, scaled to length one. A by-product
 * of a policy, not a model trained for it.
 */
import { sideBySide } from '../bounded-concurrency.js'
import { RequestError } from '../errors.js'
import { readablePolicy, type ReadablePolicy } from '../rewards/readable-policy.js'
import type { ModelRuntime } from '../engine/model-runtime.js'
import { checkTokens, tokensOf } from './prompt-reader.js'
import type { Embedded, EmbedRequest } from './calls.js'
import { requestScope } from './request-scope.js'

/** Inputs read at the same time: enough for the engine to fill its steps. */
const inFlight = 8

function unitLength (vector: Float32Array): Float32Array {
  const length = Math.hypot(...vector)
  return vector.map(value => value / length)
}

/** @throws RequestError for an input that is empty or longer than the context */
export async function embed (
  runtime: ModelRuntime, { inputs, cacheSalt, caller = '' }: EmbedRequest, signal: AbortSignal
): Promise<Embedded> {
  const { model } = runtime
  const tokens = inputs.map((input, index) => {
    const param = inputs.length === 1 ? 'input' : `input[${index}]`
    if ('tokens' in input) checkTokens(model, input.tokens, param)
    const read = tokensOf(model, input)
    if (read.length === 0) throw new RequestError('invalid_request', `${param} must hold at least one token`, { param })
    if (read.length >= model.contextLength) {
      throw new RequestError('context_length_exceeded',
        `This model's context length is ${model.contextLength} tokens; ${param} has ${read.length}`, { param })
    }
    return read
  })
  // Of its own: a request takes one place in the engine's queue, however many inputs it has.
  const policy = readablePolicy(runtime, caller)
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
    const sequence = source.open(tokens, { layers: [layer], poolFrom: 0, salt, signal })
    try {
      return unitLength((await sequence.output()).pooled(layer))
    } finally {
      sequence.close()
    }
  } finally {
    reservation.release()
  }
}
