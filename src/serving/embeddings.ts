/**
 * Embeddings of texts: the mean of the last layer's hidden states over the tokens, scaled to length one. A by-product
 * of a policy, not a model trained for it.
 */
import { RequestError } from '../errors.js'
import { readablePolicy, type ReadablePolicy } from '../rewards/readable-policy.js'
import type { Host } from './model-runtime.js'
import { checkTokens, tokensOf } from './prompt-reader.js'
import type { Embedded, EmbedRequest } from './protocol.js'
import { requestScope } from './request-scope.js'

/** Inputs read at the same time: enough for the engine to fill its steps. */
const inFlight = 8

function unitLength (vector: Float32Array): Float32Array {
  const length = Math.hypot(...vector)
  return vector.map(value => value / length)
}

/** @throws RequestError for an input that is empty or longer than the context */
export async function embed (host: Host, { inputs, cacheSalt }: EmbedRequest, signal: AbortSignal): Promise<Embedded> {
  const tokens = inputs.map((input, index) => {
    const param = inputs.length === 1 ? 'input' : `input[${index}]`
    if ('tokens' in input) checkTokens(host, input.tokens, param)
    const read = tokensOf(host, input)
    if (read.length === 0) throw new RequestError('invalid_request', `${param} must hold at least one token`, { param })
    if (read.length >= host.model.contextLength) {
      throw new RequestError('context_length_exceeded',
        `This model's context length is ${host.model.contextLength} tokens; ${param} has ${read.length}`, { param })
    }
    return read
  })
  // Of its own: a request takes one place in the engine's queue, however many inputs it has.
  const policy = readablePolicy(host.model, host.engine)
  const embeddings = new Array<Float32Array>(inputs.length)
  const queue = [...tokens.entries()]
  const scope = requestScope(signal)
  try {
    await Promise.all(Array.from({ length: inFlight }, async () => {
      for (let next = queue.shift(); next; next = queue.shift()) {
        embeddings[next[0]] = await embedOne(policy, next[1], cacheSalt, scope.signal)
      }
    }))
  } finally {
    // Where one failed, the others still read.
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
