/**
 * Observes a generation for the metrics and the access log: its events as they pass by, and what it took, however it
 * ended.
 */
import type { DecodeResult } from '../../decoding/result.js'
import { RequestError } from '../../errors.js'
import type { GenerationEvent, Usage, Used } from '../../serving/protocol.js'
import type { ModelMetrics } from '../../metrics/model-metrics.js'
import type { LogEntry } from '../plugins/logging.js'

/** Seconds since a moment of `performance.now()`. */
const since = (moment: number): number => (performance.now() - moment) / 1000

/** Observes one generation. */
export class GenerationObserver {
  readonly #metrics: ModelMetrics
  readonly #log: Pick<LogEntry, 'hold' | 'release' | 'addTokens'>
  readonly #arrived = performance.now()
  #admitted = 0
  #isGuided = false
  #firstText: number | null = null
  /** When each choice's last piece of text came. */
  readonly #lastText = new Map<number, number>()
  #result: DecodeResult | null = null
  #pruned = 0
  #hasEnded = false
  /** Tokens it drew, once that is known. */
  #drawn: number | null = null
  /** Whether its events are read no more. */
  #isLeft = false
  /** Whether the log waits for its tokens: from its first event on, which says that it has begun. */
  #isHeld = false

  constructor (metrics: ModelMetrics, log: Pick<LogEntry, 'hold' | 'release' | 'addTokens'>) {
    this.#metrics = metrics
    this.#log = log
  }

  #see (event: GenerationEvent): void {
    if (!this.#isHeld && this.#drawn === null) {
      this.#isHeld = true
      this.#log.hold()
    }
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
    this.#hasEnded = true
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

  /** Told what it used: perhaps before a slow reader has read of its end. */
  used ({ generatedTokens, rewardSeconds }: Used): void {
    this.#metrics.scored(rewardSeconds)
    this.#drawn = generatedTokens
    this.#log.addTokens(generatedTokens)
    if (this.#isHeld) this.#log.release()
    this.#countAbandoned()
  }

  /** Tokens of a generation whose end nobody read were drawn all the same. */
  #countAbandoned (): void {
    if (this.#drawn !== null && this.#isLeft && !this.#hasEnded) this.#metrics.abandoned(this.#drawn)
  }

  /** The same events, observed. */
  async * events (events: AsyncIterable<GenerationEvent>): AsyncGenerator<GenerationEvent, void, undefined> {
    try {
      for await (const event of events) {
        this.#see(event)
        yield event
      }
    } catch (error) {
      this.#metrics.failed(error instanceof RequestError ? error.code : 'internal_error')
      throw error
    } finally {
      this.#isLeft = true
      this.#countAbandoned()
    }
  }
}
