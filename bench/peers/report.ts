/** What the bench found, as a table and as JSON. */
import Table from 'cli-table3'
import type { Engine } from './engines.js'
import type { About } from './protocol.js'
import type { Scenario } from './scenarios.js'
import { ratioOf, showSpread, spreadOf, type Spread } from '../../src/reporting/spread.js'
import { ratesOf, type Rates, type Times } from './rates.js'

/** An engine that took part. */
export interface Contestant { readonly engine: Engine, readonly about: About }

/** A scenario's times by engine name, one per alternation; and what went wrong with those that failed at it. */
export interface ScenarioTimes {
  readonly scenario: Scenario
  readonly times: ReadonlyMap<string, readonly Times[]>
  readonly failures: ReadonlyMap<string, string>
}

/** One engine in one scenario. */
export interface Result {
  readonly engine: string
  readonly family: Engine['family']
  /** Tokens/s; `decode` is null where a scenario draws one token each. */
  readonly rates: { readonly [Rate in keyof Rates]: Spread | null }
  /**
   * Fairlead's rate over this engine's, alternation by alternation; null for Fairlead itself and where Fairlead did not
   * take part.
   */
  readonly ratios: { readonly [Rate in keyof Rates]: Spread | null }
  readonly times: readonly Times[]
  /** Why it had no more turns; null where it had them all. */
  readonly failure: string | null
}

const rateNames = ['request', 'decode', 'prefill'] as const satisfies ReadonlyArray<keyof Rates>
const byRate = (of: (rate: keyof Rates) => Spread | null): Result['rates'] =>
  Object.fromEntries(rateNames.map(name => [name, of(name)])) as unknown as Result['rates']

/** The rate a scenario is about. */
export const mainRate = ({ newTokens }: Scenario): 'request' | 'prefill' => newTokens > 1 ? 'request' : 'prefill'

/** What a scenario's times say of each engine. */
export function resultsOf ({ scenario, times, failures }: ScenarioTimes, contestants: readonly Contestant[]): Result[] {
  const rates = (name: string, rate: keyof Rates): number[] =>
    (times.get(name) ?? []).map(one => ratesOf(scenario, one)[rate]).filter(value => value !== null)
  return contestants.map(({ engine: { name, family } }) => ({
    engine: name,
    family,
    rates: byRate(rate => { const values = rates(name, rate); return values.length > 0 ? spreadOf(values) : null }),
    ratios: byRate(rate => name === 'fairlead' ? null : ratioOf(rates('fairlead', rate), rates(name, rate))),
    times: times.get(name) ?? [],
    failure: failures.get(name) ?? null
  }))
}

/** The fastest engine of each family, by the median of the rate the scenario is about. */
export function fastest (scenario: Scenario, results: readonly Result[]): ReadonlySet<string> {
  const rate = (result: Result): number => result.rates[mainRate(scenario)]?.median ?? 0
  const ascending = results.filter(result => rate(result) > 0).sort((a, b) => rate(a) - rate(b))
  return new Set(new Map(ascending.map(({ family, engine }) => [family, engine])).values())
}

const range = (spread: Spread | null, digits: number): string => spread ? showSpread(spread, digits) : ''

/** A row per scenario and engine; `*` marks the fastest of its family, `failed` one that had not all its turns. */
export function tableOf (scenarioTimes: readonly ScenarioTimes[], contestants: readonly Contestant[]): string {
  const table = new Table({
    head: ['scenario', 'engine', 'tokens/s', 'Fairlead ÷ it', 'decode tokens/s', 'Fairlead ÷ it'],
    style: { head: [], border: [] }
  })
  for (const one of scenarioTimes) {
    const results = resultsOf(one, contestants)
    const best = fastest(one.scenario, results)
    const main = mainRate(one.scenario)
    for (const { engine, rates, ratios, failure } of results) {
      table.push([one.scenario.name, `${engine}${best.has(engine) ? ' *' : ''}${failure === null ? '' : ' failed'}`,
        range(rates[main], 0), range(ratios[main], 2), range(rates.decode, 0), range(ratios.decode, 2)])
    }
  }
  return table.toString()
}
