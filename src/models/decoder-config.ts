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
  /**
   * The token whose repetitions at the end of a sequence are padding: the scores are those before them. Null where they
   * are those after the last token, whatever it is.
   */
  readonly padToken: number | null
  /** What its numbers are. */
  readonly scores: ScoreKind
}

/**
 * What the numbers of a score head or classifier are: `exclusive`, logits of classes of which one holds; `independent`,
 * logits of labels that hold each by itself; `numbers`, what was regressed on.
 */
export type ScoreKind = 'exclusive' | 'independent' | 'numbers'

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
  /** The rotary frequencies are divided by these, [head size / 2]; null where they are not. */
  readonly ropeDivisors: readonly number[] | null
  /** Rotated queries and keys are multiplied by this: 1 except in models that were stretched by YaRN. */
  readonly ropeMagnitude: number
  /** True where q and k rows are stored for rotation of neighbouring pairs (GGUF's llama files). */
  readonly ropeInterleaved: boolean
  readonly normEpsilon: number
  /** True where the LM head is the embedding. */
  readonly tiedEmbeddings: boolean
  /** What its files fill up batches with; null where they name no such token. */
  readonly padToken: number | null
}
