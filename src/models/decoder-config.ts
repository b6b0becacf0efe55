/** What a decoder-only transformer is, whatever file it came from. */

/**
 * Families that the graph computes, by GGUF's and Hugging Face's name. Qwen 2 adds biases to query, key and value; Qwen
 * 3 normalises each query and key.
 */
export const families = ['llama', 'qwen2', 'qwen3'] as const
/** Architectures that are computed. */
export type Family = (typeof families)[number]

/**
 * What scores a sequence in place of an LM head: a matrix, after a layer of its own width and a ReLU in some models.
 */
export interface ScoreHead {
  readonly hiddenLayer: boolean
  readonly bias: boolean
}

/** The shape of a decoder. Sizes are numbers of values. */
export interface DecoderConfig {
  readonly family: Family
  readonly layers: number
  /** Residual width D. */
  readonly hiddenSize: number
  readonly queryHeads: number
  readonly kvHeads: number
  readonly headSize: number
  readonly feedForwardSize: number
  readonly vocabularySize: number
  /** Numbers that the head gives for a position: the vocabulary's logits, or the scores of a classifier. */
  readonly outputSize: number
  /** Null where the head is a language model's. */
  readonly scoreHead: ScoreHead | null
  /** Longest sequence the model was trained for, tokens. */
  readonly contextLength: number
  readonly ropeBase: number
  /** True where q and k rows are stored for rotation of neighbouring pairs (GGUF's llama files). */
  readonly ropeInterleaved: boolean
  readonly normEpsilon: number
  /** True where the LM head is the embedding. */
  readonly tiedEmbeddings: boolean
}
