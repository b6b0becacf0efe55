/** What a decoder-only transformer is, whatever file it came from. Types only. */

export interface DecoderConfig {
  /** GGUF's or Hugging Face's family name. */
  readonly architecture: 'llama'
  readonly layers: number
  /** Residual width D. */
  readonly hiddenSize: number
  readonly queryHeads: number
  readonly kvHeads: number
  readonly headSize: number
  readonly feedForwardSize: number
  readonly vocabularySize: number
  /** Longest sequence the model was trained for, tokens. */
  readonly contextLength: number
  readonly ropeBase: number
  /** True where q and k rows are stored for rotation of neighbouring pairs (GGUF's llama files). */
  readonly ropeInterleaved: boolean
  readonly normEpsilon: number
  /** True where the LM head is the embedding. */
  readonly tiedEmbeddings: boolean
}
