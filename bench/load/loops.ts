/**
 * Loads made of single requests: closed, so many in flight; and open, so many a second at random (Poisson), as users
 * come who do not know of each other.
 */
import { setMaxListeners } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { uniform } from '../../src/statistics/random.js'
import type { Send } from './clients.js'
import { CpuClock, type LoadSamples, type RequestSample } from './measurement.js'
import type { LoadLimits } from './scenarios.js'

/**
 * Moments at which requests are sent, seconds after the first: gaps are exponential with mean 1/rate. Same seed, same
 * moments.
 */
export function arrivals (rate: number, count: number, seed = 1): number[] {
  const random = uniform(seed)
  let at = 0
  return Array.from({ length: count }, () => {
    const now = at
    at -= Math.log(1 - random()) / rate
    return now
  })
}

class Collector {
  readonly answered: RequestSample[] = []
  readonly #cpu = new CpuClock()
  readonly #started = performance.now()
  #ended = this.#started
  #errors = 0

  async take (request: Promise<RequestSample>, signal: AbortSignal): Promise<void> {
    try {
      this.answered.push(await request)
    } catch (error) {
      // What was cut off at the end of the load is no error of the server.
      if (!signal.aborted) this.#errors++
    }
    this.#ended = performance.now()
  }

  samples (): LoadSamples {
    return {
      answered: this.answered,
      errors: this.#errors,
      seconds: Math.max(1e-3, (this.#ended - this.#started) / 1000),
      generatorCpu: this.#cpu.share()
    }
  }
}

function withLimit ({ maxSeconds, signal }: LoadLimits): AbortSignal {
  const limited = AbortSignal.any([signal, AbortSignal.timeout(maxSeconds * 1000)])
  // Every request in flight listens.
  setMaxListeners(0, limited)
  return limited
}

export async function closedLoop (
  send: Send, body: (index: number) => object, inFlight: number, limits: LoadLimits
): Promise<LoadSamples> {
  const [collector, signal] = [new Collector(), withLimit(limits)]
  let index = 0
  await Promise.all(Array.from({ length: inFlight }, async () => {
    while (index < limits.requests && !signal.aborted) await collector.take(send(body(index++), signal), signal)
  }))
  return collector.samples()
}

/** @param rate requests a second */
export async function openLoop (
  send: Send, body: (index: number) => object, rate: number, limits: LoadLimits
): Promise<LoadSamples> {
  const [collector, signal] = [new Collector(), withLimit(limits)]
  const started = performance.now()
  const sent: Array<Promise<void>> = []
  for (const [index, at] of arrivals(rate, limits.requests).entries()) {
    await sleep(Math.max(0, started + at * 1000 - performance.now()), undefined, { signal }).catch(() => {})
    if (signal.aborted) break
    sent.push(collector.take(send(body(index), signal), signal))
  }
  await Promise.all(sent)
  return collector.samples()
}
