/**
 * What a search costs on an inference engine with continuous batching and a prefix cache: rounds in which every running
 * sequence gets a token, prompt tokens that are read, and calls. Seconds, tokens and bytes throughout.
 */

/** One engine. */
export interface EngineCost {
  /**
   * Seconds of a round in which each of some sequences gets a token.
   * @param kvTokens tokens whose keys and values the round reads, all sequences together
   */
  round (sequences: number, kvTokens: number): number
  /** Seconds to read a prompt token that is not cached. */
  readonly prefillToken: number
  /** Seconds of the engine's API for a call, one after the other. */
  readonly call: number
  /** Tokens that a cached prefix is a multiple of: up to one less is read again when a sequence is gone on with. */
  readonly blockTokens: number
  /** Tokens whose keys and values there is room for. */
  readonly kvTokens: number
}

/** A GPU by its data sheet. */
export interface Gpu {
  /** Bytes per second from its memory. */
  readonly bandwidth: number
  /** Operations per second in bfloat16, dense. */
  readonly operations: number
  readonly bytes: number
}

/** From the makers' data sheets. */
export const gpus: Readonly<Record<string, Gpu>> = {
  l4: { bandwidth: 0.3e12, operations: 121e12, bytes: 24e9 },
  l40s: { bandwidth: 0.864e12, operations: 362e12, bytes: 48e9 },
  a100: { bandwidth: 2.039e12, operations: 312e12, bytes: 80e9 },
  h100: { bandwidth: 3.35e12, operations: 989e12, bytes: 80e9 },
  h200: { bandwidth: 4.8e12, operations: 989e12, bytes: 141e9 }
}

/** A model as an engine holds it. */
export interface ModelSize {
  readonly parameters: number
  readonly bytesPerParameter: number
  /** Keys and values of a token. */
  readonly kvBytesPerToken: number
}

/** What of a data sheet a real engine has; assumptions, to be replaced by measured ones. */
export interface Shares {
  readonly bandwidth: number
  readonly operations: number
  /** Of the memory, for weights and keys and values. */
  readonly memory: number
  /** Seconds of a round beside the GPU's work. */
  readonly roundSeconds: number
}

export const assumedShares: Shares = { bandwidth: 0.6, operations: 0.4, memory: 0.9, roundSeconds: 0.002 }

/**
 * An engine on a GPU: a round takes as long as its memory is read, or its operations take where that is longer.
 * @throws Error for a model that does not fit
 */
export function gpuEngine (gpu: Gpu, model: ModelSize, shares: Shares = assumedShares): EngineCost {
  const weights = model.parameters * model.bytesPerParameter
  const kvTokens = Math.floor((gpu.bytes * shares.memory - weights) / model.kvBytesPerToken)
  if (kvTokens <= 0) throw new Error(`the model has ${weights} bytes, the GPU ${gpu.bytes * shares.memory} for it`)
  const operations = 2 * model.parameters / (gpu.operations * shares.operations)
  return {
    round: (sequences, read) => shares.roundSeconds + Math.max(
      (weights + read * model.kvBytesPerToken) / (gpu.bandwidth * shares.bandwidth), sequences * operations),
    prefillToken: operations,
    call: 0.002,
    blockTokens: 16,
    kvTokens
  }
}

/** Tokens that are read again when a sequence of some length is gone on with. */
export const uncachedTokens = (length: number, { blockTokens }: EngineCost): number => length % blockTokens

/** Work that an engine does by itself, one part after the other. */
export interface Work {
  readonly sequences: number
  /** Each of them gets. */
  readonly tokens: number
  /** Its mean length meanwhile. */
  readonly context: number
  /** Prompt tokens that are read before, all together. */
  readonly prefill: number
  readonly calls: number
}

/** Seconds of work that an engine does alone. */
export function workSeconds (engine: EngineCost, { sequences, tokens, context, prefill, calls }: Work): number {
  return calls * engine.call + prefill * engine.prefillToken + tokens * engine.round(sequences, sequences * context)
}
