/** Watches the events of a generation pass by and tells the metrics. */
import type { DecodeResult } from '../decoding/runtime.js'
import { RequestError } from '../errors.js'
import type { GenerationEvent, Usage } from '../inference/protocol.js'
import type { Metrics } from '../metrics/metrics.js'

/** Seconds since a moment of `performance.now()`. */
const since = (moment: number): number => (performance.now() - moment) / 1000

class Watch {
  readonly #metrics: Metrics
  readonly #arrived = performance.now()
  #admitted = 0
  #isGuided = false
  #firstText: number | null = null
  /** When each choice's last piece of text came. */
  readonly #lastText = new Map<number, number>()
  #result: DecodeResult | null = null
  #pruned = 0

  constructor (metrics: Metrics) { this.#metrics = metrics }

  see (event: GenerationEvent): void {
    if (event.type === 'start') {
      this.#admitted = performance.now()
      this.#isGuided = event.start.strategy !== 'sample'
      this.#metrics.observe('queue', since(this.#arrived))
    } else if (event.type === 'text') this.#text(event.choice)
    else if (event.type === 'candidate' && event.candidate.prunedAt !== null) this.#pruned++
    else if (event.type === 'end') this.#result = event.result
    else if (event.type === 'usage') this.#end(event.usage, this.#result!)
  }

  #text (choice: number): void {
    const last = this.#lastText.get(choice)
    this.#lastText.set(choice, performance.now())
    if (last !== undefined) this.#metrics.observe('interToken', since(last))
    if (this.#firstText !== null) return
    this.#firstText = performance.now()
    this.#metrics.observe('firstToken', since(this.#arrived))
    this.#metrics.observe('prefill', since(this.#admitted))
  }

  #end (usage: Usage, { choices, candidates, kl }: DecodeResult): void {
    this.#metrics.observe('whole', since(this.#arrived))
    if (this.#firstText !== null) this.#metrics.observe('decode', since(this.#firstText))
    this.#metrics.succeeded({
      ...usage,
      choices: choices.length,
      discardedCandidates: candidates.length - choices.length - this.#pruned,
      prunedCandidates: this.#pruned,
      kl: this.#isGuided ? kl.value : null,
      finishReasons: choices.map(choice => choice.finishReason)
    })
  }
}

/** The same events, watched. */
export async function * observe (events: AsyncIterable<GenerationEvent>, metrics: Metrics): AsyncGenerator<GenerationEvent, void, undefined> {
  const watch = new Watch(metrics)
  try {
    for await (const event of events) {
      watch.see(event)
      yield event
    }
  } catch (error) {
    metrics.failed(error instanceof RequestError ? error.code : 'internal_error')
    throw error
  }
}
