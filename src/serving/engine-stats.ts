/** The engines' state, as operators see it. */
import type { Host, Hosts } from './model-runtime.js'
import type { EngineStats, Stats } from './protocol.js'

function engineStats ({ engine, model: { id } }: Host): EngineStats {
  const { steps, runs, decodeRows, paddingRows, prefillTokens, probedTokens } = engine.counters
  return {
    model: id,
    ...engine.stats(),
    steps,
    runs,
    decodeRows: decodeRows - paddingRows,
    prefillRows: prefillTokens,
    probedRows: probedTokens
  }
}

export function stats ({ all, rewardModels }: Hosts): Stats {
  return { engines: all.map(engineStats), rewardModels: rewardModels.stats() }
}
