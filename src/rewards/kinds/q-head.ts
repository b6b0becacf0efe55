/**
 * Q-heads: what every next token would do to a mean-pooled head's score, without a forward pass. The state after a
 * token v adds c(s, v) = weights · state + bias to the running mean, so that the score of the prefix with v is (t ·
 * V(s) + c(s, v)) / (t + 1) after t tokens. A Q-head predicts c as a low-rank bilinear form of the state after s and
 * v's embedding: Σ_k (A [state; 1])_k (B [embedding; 1])_k. Knows numbers; how they are fitted is `fit-q-head.ts`.
 */
import { Type, type Static } from 'typebox'
import { RequestError } from '../../errors.js'
import { closed } from '../descriptor-parts.js'

/** Fields of a head's descriptor that give it a next-token member. */
export const qHeadSchema = Type.Object({
  /** Layer of the state after the last token, as `layer` of the head. */
  layer: Type.Integer({ minimum: 0 }),
  /** Number K of terms. */
  rank: Type.Integer({ minimum: 1, maximum: 1024 }),
  /** A, [K, D + 1] float32, little-endian, base64. */
  state: Type.String(),
  /** B, [K, D + 1], likewise. */
  token: Type.String(),
  fit: Type.Object({
    /** Prompts whose answers were drawn, positions in them, and values of tokens read there. */
    prompts: Type.Integer({ minimum: 1 }),
    positions: Type.Integer({ minimum: 1 }),
    values: Type.Integer({ minimum: 1 }),
    regularization: Type.Number({ minimum: 0 })
  }, closed),
  /**
   * On positions of held-out prompts: mean rank correlation (Spearman) with the scores that reading each of the most
   * probable tokens gives.
   */
  metrics: Type.Object({
    rankCorrelation: Type.Number({ minimum: -1, maximum: 1 }),
    /** Over prompts. */
    standardError: Type.Number({ minimum: 0 }),
    candidates: Type.Integer({ minimum: 2 }),
    positions: Type.Integer({ minimum: 1 }),
    prompts: Type.Integer({ minimum: 1 }),
    split: Type.String()
  }, closed)
}, closed)

/** The next-token part of a head's descriptor. */
export type QHead = Static<typeof qHeadSchema>

/** Numbers as a descriptor holds them. */
export const encodeFloats = (values: Float32Array): string =>
  Buffer.from(values.buffer, values.byteOffset, values.byteLength).toString('base64')

/** @throws RequestError naming the field, where the text does not hold `count` finite numbers */
function decodeFloats (text: string, count: number, field: string): Float32Array {
  const bytes = Buffer.from(text, 'base64')
  const values = new Float32Array(Math.floor(bytes.length / 4))
  new Uint8Array(values.buffer).set(bytes.subarray(0, 4 * values.length))
  if (bytes.length !== 4 * count) {
    throw new RequestError('invalid_request', `nextToken.${field} must contain ${count} float32 numbers (rank · ` +
      `(weights + 1)) in base64; got ${bytes.length} bytes`)
  }
  if (!values.every(Number.isFinite)) {
    throw new RequestError('invalid_request', `nextToken.${field} must contain finite numbers only`)
  }
  return values
}

/** Σ row · [vector; 1]. */
function affine (matrix: Float32Array, from: number, vector: Float32Array): number {
  let sum = matrix[from + vector.length]!
  for (let i = 0; i < vector.length; i++) sum += matrix[from + i]! * vector[i]!
  return sum
}

/** The bilinear form of one Q-head. */
export class TokenForm {
  readonly #rank: number
  readonly #width: number
  readonly #state: Float32Array
  readonly #token: Float32Array

  /**
   * @param width D of states and embeddings
   * @throws RequestError for matrices of another size
   */
  constructor ({ rank, state, token }: Pick<QHead, 'rank' | 'state' | 'token'>, width: number) {
    this.#rank = rank
    this.#width = width
    this.#state = decodeFloats(state, rank * (width + 1), 'state')
    this.#token = decodeFloats(token, rank * (width + 1), 'token')
  }

  /**
   * What each token would add: c(s, v).
   * @param state after the last token
   * @param embedding of a token; read before the next is asked for
   */
  contributions (state: Float32Array, tokens: readonly number[], embedding: (token: number) => Float32Array): number[] {
    const columns = this.#width + 1
    // Tokens share what the state makes of their side: one vector, then one product a token.
    const shared = new Float32Array(columns)
    for (let k = 0; k < this.#rank; k++) {
      const factor = affine(this.#state, k * columns, state)
      for (let i = 0; i < columns; i++) shared[i]! += factor * this.#token[k * columns + i]!
    }
    return tokens.map(token => affine(shared, 0, embedding(token)))
  }
}
