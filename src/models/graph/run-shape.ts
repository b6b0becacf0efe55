/**
 * The shape of a decoder run: how many parts its batch has. The rows of a part lie in neighbouring slots; a private
 * part's rows hold all of their KV, a shared part's rows follow one prompt whose KV is stored once. A graph is written
 * for one shape.
 */

export interface RunShape {
  /** Private parts; they come first in the batch. */
  readonly private: number
  readonly shared: number
  /** Whether each part is a chunk: its rows are positions of one sequence. Such a shape has private parts only. */
  readonly chunks?: true
  /**
   * Of a probe the layers that are run: its one part is positions that come next in one sequence, in branches, and of
   * which only hidden states are wanted.
   */
  readonly probedLayers?: number
}

/** One private part: it also takes several positions of a sequence, without being a shape of chunks. */
export const privateShape: RunShape = { private: 1, shared: 0 }
/** One shared part. */
export const sharedShape: RunShape = { private: 0, shared: 1 }

/** Chunks of several sequences. */
export const chunksShape = (count: number): RunShape => ({ private: count, shared: 0, chunks: true })

/** Branches of what may come next in one sequence. @param layers that are run */
export const probeShape = (layers: number): RunShape => ({ private: 1, shared: 0, probedLayers: layers })

/** A shape as text, e.g. "1 private, 2 shared". */
export function describeShape ({ private: alone, shared, chunks, probedLayers }: RunShape): string {
  if (probedLayers !== undefined) return `probe of ${probedLayers} layers`
  return chunks ? `${alone} chunks` : `${alone} private, ${shared} shared`
}

/** Name of a part's own input or output in the graph. */
export const partName = (part: number, name: string): string => `part${part}.${name}`
