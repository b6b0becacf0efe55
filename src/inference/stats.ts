/** The engine's state, as operators see it. */
import type { Host } from './host.js'
import type { EngineStats } from './protocol.js'

export async function stats ({ engine, rewardModels }: Host): Promise<EngineStats> {
  const { steps, runs, decodeRows, ridingRows, chunkTokens } = engine.counters
  return { ...engine.stats(), steps, runs, decodeRows: decodeRows - ridingRows, prefillRows: chunkTokens, rewardModels: rewardModels.stats() }
}
