/**
 * A decoder on a device: packed runs over a paged KV cache. It knows token ids, block numbers and rows, and neither
 * sequences nor who owns which block: that is the KV manager's. `packed-decoder.ts` implements it over ONNX Runtime;
 * what is written here is all that an engine may count on.
 *
 * The cache is `numBlocks` blocks of `blockSize` positions each, all layers, float16, in the device's memory; position
 * p of a sequence lies in block `blockTables[sequence][⌊p / blockSize⌋]` at p mod blockSize. A run writes the KV of its
 * tokens there and reads that of the positions before. Blocks begin as zeros; what is in one that is free stays.
 */

/** One run: the next tokens of some sequences, one after the other without padding. T tokens, B sequences. */
export interface PackedPass {
  /** Tokens of all sequences, [T], T ≥ 1. */
  readonly tokenIds: Int32Array
  /** Where each sequence's tokens begin among them, and T at the end: [B + 1]. Every sequence has at least one. */
  readonly cumulativeLengths: Int32Array
  /** Positions of each sequence that have KV already, [B]. */
  readonly pastLengths: Int32Array
  /**
   * Blocks of each sequence, [B, maxBlocksPerSequence], row-major. Those behind its last position are not read; they
   * must be numbers of blocks all the same, such as 0.
   */
  readonly blockTables: Int32Array
  /**
   * What attention's kernel is chosen by, at least the most tokens of a sequence in this run: 1; 2–3; 4–31; 32 and
   * more. A row's bits depend on the kernel. The device takes the smaller of it and T, so a run of fewer tokens than a
   * kernel's least is another kernel's: fill it up.
   */
  readonly longestPart: number
  /** At least the most positions of a sequence after the run. Larger ones give the same bits. */
  readonly longestSequence: number
  /**
   * Tokens after which a distribution is wanted, indices into `tokenIds`, [R]. None: nothing above the highest of
   * `stateLayers` is run, and no KV of the layers above is written.
   */
  readonly rows: Int32Array
  /** By row 1 / temperature; 1 where that is 0. [R] */
  readonly inverseTemperatures: Float32Array
  /** Rows whose logits are wanted in full, indices into `rows`. */
  readonly logitRows: readonly number[]
  /** Layers whose hidden states are wanted: 0 the embedding, `layers` the final norm's. Ascending, none twice. */
  readonly stateLayers: readonly number[]
  /** Tokens whose hidden states are wanted, indices into `tokenIds`, [S]; S ≥ 1 where there are layers. */
  readonly stateRows: Int32Array
}

/** What a run gives. The caller's own: later runs do not write over it. */
export interface PackedOutput {
  /** Ids of the most probable tokens by descending logit, ties by lower id, [R, topK]. */
  readonly topIds: Int32Array
  /** Their logits, [R, topK]. */
  readonly topLogits: Float32Array
  /** ln Σ exp(logit) over the vocabulary, [R]. */
  readonly logNormalizers: Float32Array
  /** ln Σ exp(logit · inverse temperature), [R]. */
  readonly temperedLogNormalizers: Float32Array
  /** All logits by index into `rows`, [outputSize] each: those of `logitRows`. */
  readonly logits: ReadonlyMap<number, Float32Array>
  /** Hidden states by layer, [S, hiddenSize]. */
  readonly hidden: ReadonlyMap<number, Float32Array>
}

/** Counters since the decoder was opened. */
export interface DecoderCounters {
  runs: number
  /** Tokens run, fillers included. */
  tokens: number
  /** Pairs of blocks copied. */
  copiedBlocks: number
  /** Bytes that runs and copies of blocks read in the host's memory and wrote there. Weights are not in them. */
  bytesFromHost: number
  bytesToHost: number
  /** Tensors that the host read back: each waits for the device. */
  hostReads: number
  /** Nodes of the graphs that were run: attention takes six or seven kernels each, most others one. */
  nodes: number
}

/** Calls may overlap: they are run one after the other, in turn with all others that use the device. */
export interface DeviceDecoder {
  readonly hiddenSize: number
  readonly layers: number
  /** Numbers of a row of logits: the vocabulary, or a classifier's scores. */
  readonly outputSize: number
  /** Logits that come with every row: min(128, outputSize). */
  readonly topK: number
  /** Positions of a block. */
  readonly blockSize: number
  /** Blocks of the cache, numbered from 0. */
  readonly numBlocks: number
  /** Width of a block table: ⌈context length / blockSize⌉. */
  readonly maxBlocksPerSequence: number
  /** KV of a position in all layers. */
  readonly bytesPerToken: number
  readonly counters: Readonly<DecoderCounters>

  /**
   * Compiles what runs that want these layers need, so that none waits for it.
   * @param withRows whether distributions are wanted, too; else a graph that ends at the highest layer
   */
  prepare (stateLayers: readonly number[], withRows: boolean): Promise<void>

  /**
   * One run. One that fails may have written the KV of its tokens' positions, and nothing else.
   * @throws DeviceLostError where the device is gone
   */
  run (pass: PackedPass): Promise<PackedOutput>

  /**
   * Copies whole blocks in all layers, on the device. All are read before any is written.
   * @param pairs [from, to]; no block is written twice
   */
  copyBlocks (pairs: ReadonlyArray<readonly [from: number, to: number]>): Promise<void>

  /** Frees the cache and the graphs, after what is under way. The weights stay with the model. */
  dispose (): Promise<void>
}

/** The device no longer answers: what was in its memory is lost, and it must be opened again. */
export class DeviceLostError extends Error {}

/** How large a decoder is made. */
export interface DecoderOptions {
  /** Longest sequence, tokens. */
  readonly contextLength: number
  /** Bytes of the KV cache: as many whole blocks are made as fit. */
  readonly kvCacheBytes: number
}

/** A model whose weights are on a device. Decoders over them share the weights. */
export interface DeviceModel {
  /** Opens a decoder with a KV cache of its own. @throws RequestError where the device has no room for it */
  openDecoder (options: DecoderOptions): Promise<DeviceDecoder>
}
