/**
 * Engines under a stream of searches, round by round: each request goes to the engine with the least work, its
 * candidates run in one batch with those of others as far as there is room, and a step of a search begins when all its
 * candidates have ended the one before.
 */
import { randomStream, type Random } from '../../src/policies/random-stream.js'
import { uncachedTokens, type EngineCost } from './cost-model.js'

/** Searches, alike but for the lengths of their answers. */
export interface Workload {
  readonly requestsPerMinute: number
  readonly promptTokens: number
  readonly candidates: number
  /** Mean length of an answer, and its standard deviation in parts of that. */
  readonly answerTokens: number
  readonly spread: number
  /** Tokens that candidates grow by before they are compared; null: they are drawn whole. */
  readonly stepTokens: number | null
}

export interface SimulateOptions {
  /** Sequences that an engine runs at a time. */
  readonly maxSequences: number
  /** Prompt tokens that a round reads at most. */
  readonly prefillPerRound: number
  /** Requests that come, of ten minutes at least where a queue may grow; the first fifth is not counted. */
  readonly requests: number
  readonly seed: number
}

export const defaultOptions: SimulateOptions = { maxSequences: 256, prefillPerRound: 2048, requests: 600, seed: 0 }

export interface Outcome {
  /** Seconds from a request's arrival to its end, ascending; all of them infinite where the queue grows and grows. */
  readonly latencies: readonly number[]
  /** Sequences that an engine runs, on average over time. */
  readonly batch: number
  readonly callsPerSecond: number
  readonly tokensPerSecond: number
}

/** A request, its candidates by the tokens that each has yet to get. */
interface Search {
  readonly arrived: number
  readonly left: number[]
  drawn: number
  /** Candidates of this step that run or wait. */
  open: number
  ended: number | null
}

/** A candidate's part of a step. */
interface Part { readonly search: Search, readonly tokens: number, readonly kv: number }

class SimulatedEngine {
  readonly #cost: EngineCost
  readonly #workload: Workload
  readonly #options: SimulateOptions
  #time = 0
  #rounds = 0
  /** Steps whose prompt tokens are read, in turn, and from when on. */
  readonly #prefills: Array<{ readonly search: Search, readonly from: number, tokens: number }> = []
  readonly #waiting: Part[] = []
  /** By the round that they end with. */
  readonly #ending = new Map<number, Part[]>()
  #running = 0
  #kv = 0
  /** Tokens that are to be drawn yet. */
  outstanding = 0
  /** Seconds that sequences ran, all together. */
  sequenceSeconds = 0
  calls = 0

  constructor (cost: EngineCost, workload: Workload, options: SimulateOptions) {
    this.#cost = cost
    this.#workload = workload
    this.#options = options
  }

  get isIdle (): boolean { return this.#running === 0 && this.#prefills.length === 0 && this.#waiting.length === 0 }

  add (search: Search): void {
    this.outstanding += search.left.reduce((sum, tokens) => sum + tokens, 0)
    this.#begin(search, Math.max(this.#time, search.arrived), this.#workload.promptTokens)
  }

  /** Begins a step: its calls, one after the other, then what is not cached. */
  #begin (search: Search, now: number, prefill: number): void {
    search.open = search.left.filter(tokens => tokens > 0).length
    this.calls += search.open
    this.#prefills.push({ search, from: now + search.open * this.#cost.call, tokens: prefill })
  }

  advance (until: number): void {
    while (this.#time < until && !this.isIdle) this.#round()
    this.#time = Math.max(this.#time, until)
  }

  #round (): void {
    const due = this.#prefills.filter(({ from }) => from <= this.#time)
    if (due.length === 0 && this.#running === 0 && this.#waiting.length === 0) {
      this.#time = Math.min(...this.#prefills.map(({ from }) => from))
      return
    }
    const read = this.#read(due)
    this.#admit()
    const context = this.#workload.promptTokens + this.#workload.answerTokens / 2
    const seconds = read * this.#cost.prefillToken +
      (this.#running === 0 ? 0 : this.#cost.round(this.#running, this.#running * context))
    this.#time += seconds
    this.sequenceSeconds += this.#running * seconds
    const ended = this.#ending.get(++this.#rounds) ?? []
    this.#ending.delete(this.#rounds)
    for (const part of ended) this.#end(part)
  }

  /** Reads prompt tokens; steps whose are read begin to be drawn. @returns how many */
  #read (due: ReadonlyArray<{ readonly search: Search, tokens: number }>): number {
    let room = this.#options.prefillPerRound
    for (const prefill of due) {
      const tokens = Math.min(room, prefill.tokens)
      prefill.tokens -= tokens
      room -= tokens
      if (prefill.tokens > 0) break
      this.#prefills.splice(this.#prefills.indexOf(prefill as never), 1)
      const { stepTokens, promptTokens, candidates } = this.#workload
      for (const left of prefill.search.left) {
        if (left === 0) continue
        const step = Math.min(left, stepTokens ?? left)
        this.#waiting.push({ search: prefill.search, tokens: step, kv: left + promptTokens / candidates })
      }
    }
    return this.#options.prefillPerRound - room
  }

  /** Begins parts that wait, in turn, as long as there is room; one alone always has. */
  #admit (): void {
    while (this.#waiting.length > 0 && this.#running < this.#options.maxSequences &&
        (this.#running === 0 || this.#kv + this.#waiting[0]!.kv <= this.#cost.kvTokens)) {
      const part = this.#waiting.shift()!
      const last = this.#rounds + part.tokens
      this.#ending.set(last, [...this.#ending.get(last) ?? [], part])
      this.#running++
      this.#kv += part.kv
    }
  }

  #end ({ search, tokens, kv }: Part): void {
    this.#running--
    this.#kv -= kv
    this.outstanding -= tokens
    if (--search.open > 0) return
    const step = this.#workload.stepTokens ?? Infinity
    search.drawn += step
    search.left.forEach((left, index) => { search.left[index] = Math.max(0, left - step) })
    const alive = search.left.filter(left => left > 0).length
    if (alive === 0) search.ended = this.#time
    else {
      const length = this.#workload.promptTokens + search.drawn
      this.#begin(search, this.#time, alive * uncachedTokens(length, this.#cost))
    }
  }
}

/** A length with the workload's mean and spread, log-normal, 1 at least. */
function drawLength ({ answerTokens, spread }: Workload, random: Random): number {
  const variance = Math.log(1 + spread ** 2)
  const normal = Math.sqrt(-2 * Math.log(1 - random.next())) * Math.cos(2 * Math.PI * random.next())
  return Math.max(1, Math.round(answerTokens * Math.exp(Math.sqrt(variance) * normal - variance / 2)))
}

/** Full batches of whole answers that wait for an engine, from which on it is taken to fall behind for good. */
const hopeless = 10

const overloaded: Outcome =
  { latencies: [Infinity], batch: Infinity, callsPerSecond: NaN, tokensPerSecond: NaN }

/** Searches come at random, at their rate, to some engines. The same seed gives the same outcome. */
export function simulate (
  cost: EngineCost, count: number, workload: Workload, options: SimulateOptions = defaultOptions
): Outcome {
  const random = randomStream(options.seed, 'sizing')
  const engines = Array.from({ length: count }, () => new SimulatedEngine(cost, workload, options))
  const searches: Search[] = []
  const most = hopeless * options.maxSequences * workload.answerTokens
  let now = 0
  for (let index = 0; index < options.requests; index++) {
    now -= Math.log(1 - random.next()) * 60 / workload.requestsPerMinute
    for (const engine of engines) engine.advance(now)
    const left = Array.from({ length: workload.candidates }, () => drawLength(workload, random))
    const search = { arrived: now, left, drawn: 0, open: 0, ended: null }
    searches.push(search)
    const least = engines.reduce((best, one) => one.outstanding < best.outstanding ? one : best)
    if (least.outstanding > most) return overloaded
    least.add(search)
  }
  const tokens = engines.reduce((sum, { outstanding }) => sum + outstanding, 0)
  const drawnUntilNow = searches.length * workload.candidates * workload.answerTokens - tokens
  const [sequenceSeconds, calls] = [engines.reduce((sum, engine) => sum + engine.sequenceSeconds, 0),
    engines.reduce((sum, engine) => sum + engine.calls, 0)]
  for (const engine of engines) engine.advance(Infinity)
  const counted = searches.slice(Math.floor(options.requests / 5))
  return {
    latencies: counted.map(({ arrived, ended }) => ended! - arrived).sort((a, b) => a - b),
    batch: sequenceSeconds / (now * count),
    callsPerSecond: calls / now,
    tokensPerSecond: drawnUntilNow / now
  }
}

/** The value that a share of some ascending ones is not above. */
export const quantile = (ascending: readonly number[], share: number): number =>
  ascending[Math.min(ascending.length - 1, Math.floor(share * ascending.length))]!

/**
 * The least number of engines whose searches end in time.
 * @param seconds that 95 of 100 searches may take
 * @returns null where more than `most` are needed
 */
export function planEngines (
  cost: EngineCost, workload: Workload, seconds: number, options: SimulateOptions = defaultOptions, most = 1024
): number | null {
  const isEnough = (count: number): boolean =>
    quantile(simulate(cost, count, workload, options).latencies, 0.95) <= seconds
  let high = 1
  while (!isEnough(high)) if ((high *= 2) > most) return null
  let low = Math.floor(high / 2)
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2)
    if (isEnough(middle)) high = middle
    else low = middle
  }
  return high
}
