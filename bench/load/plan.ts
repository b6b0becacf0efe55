/** Which loads are sent to which server, in order. Pure. */
import { defaultConfiguration, type Measurement } from './measurement.js'

/** A server's settings under a name, and the loads it is for. */
export interface Configuration {
  readonly name: string
  readonly flags: readonly string[]
  readonly loads: readonly PlannedLoad[]
  /** Whether the server is then measured beside its engine alone. */
  readonly besideEngine: boolean
}

/** A load; the level of an open one is a share of the requests/s that the closed loop reached. */
export interface PlannedLoad {
  readonly scenario: string,
  readonly transport: 'http' | 'websocket',
  readonly loop: 'closed' | 'open',
  readonly level: number
}

export interface PlanOptions {
  readonly scenarios: readonly string[]
  readonly concurrencies: readonly number[]
  /** Shares of capacity. */
  readonly openShares: readonly number[]
  readonly ablations: boolean
}

/** Streams at once at which batching and its absence are compared. */
const ablationLevel = 16

/**
 * Each scenario at each concurrency; streams over WebSockets, too, and as they come at random; then the servers with
 * something switched off.
 */
export function planOf ({ scenarios, concurrencies, openShares, ablations }: PlanOptions): Configuration[] {
  const has = (scenario: string): boolean => scenarios.includes(scenario)
  const closed = (scenario: string, transport: 'http' | 'websocket', levels: readonly number[]): PlannedLoad[] =>
    levels.map(level => ({ scenario, transport, loop: 'closed', level }))
  const streamLevels = [...new Set([...concurrencies, ...ablations ? [ablationLevel] : []])].sort((a, b) => a - b)
  const hitLevel = concurrencies[concurrencies.length >> 1]!
  const loads = [
    ...scenarios.flatMap(scenario => closed(scenario, 'http', scenario === 'streaming' ? streamLevels : concurrencies)),
    ...has('streaming') ? closed('streaming', 'websocket', concurrencies) : [],
    ...has('streaming')
      ? (['http', 'websocket'] as const).flatMap(transport =>
          openShares.map((level): PlannedLoad => ({ scenario: 'streaming', transport, loop: 'open', level })))
      : []
  ]
  const off = (name: string, flags: readonly string[], scenario: string, level: number): Configuration[] =>
    ablations && has(scenario)
      ? [{ name, flags, loads: closed(scenario, 'http', [level]), besideEngine: false }]
      : []
  return [
    { name: defaultConfiguration, flags: [], loads, besideEngine: ablations && has('streaming') },
    ...off('batching off', ['--max-sequences', '1'], 'streaming', ablationLevel),
    ...off('shared prompts off', ['--shared-prompts', 'off'], 'long_best_of_n', hitLevel),
    ...off('prefix cache off', ['--prefix-cache-bytes', '0'], 'shared_system', hitLevel)
  ]
}

/**
 * Requests a second of an open load, from what the closed loop reached over the same transport; null where it was not
 * measured.
 */
export function rateOf ({ scenario, transport, level }: PlannedLoad, measurements: readonly Measurement[]): number
  | null {
  const reached = measurements.filter(one => one.scenario === scenario && one.transport === transport &&
    one.loop === 'closed' && one.configuration === defaultConfiguration).map(one => one.requestsPerSecond)
  return reached.length === 0 ? null : level * Math.max(...reached)
}
