/** The engine's state, as operators see it. */
import type { Host } from './host.js'
import type { EngineStats } from './protocol.js'

export function stats ({ engine }: Host): EngineStats {
  const { steps, runs, decodeRows, ridingRows, chunkTokens } = engine.counters
  return { ...engine.stats(), steps, runs, decodeRows: decodeRows - ridingRows, prefillRows: chunkTokens }
}
