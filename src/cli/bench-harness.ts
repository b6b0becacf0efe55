/**
 * What every scenario of `fairlead bench` is made of: prompts that nothing is cached of, sequences that draw and feed
 * tokens, the time that takes. Knows no scenario.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { SamplingDistribution } from '../policies/sampling-distribution.js'
import { completed } from '../engine/completed-output.js'
import { randomStream } from '../policies/random-stream.js'
import type { Sequence, SequenceOptions } from '../engine/sequence.js'
import type { LocalModel } from '../serving/served-models.js'
import { packageRoot } from '../package-root.js'

/** What a measurement took: wall-clock and forward passes, ms. */
export interface Timing { readonly totalMs: number, readonly forwardMs: number }

export class Bench {
  readonly served: LocalModel
  readonly #text: readonly number[]
  #drawn = 0

  constructor (served: LocalModel) {
    this.served = served
    const chats =
      JSON.parse(readFileSync(join(packageRoot, 'models', 'calibration', 'chats.json'), 'utf8')) as string[][]
    this.#text = served.model.tokenizer.encode(chats.flat().join('\n\n'))
  }

  /** A prompt of text that no prompt before began with. */
  prompt (length: number): number[] {
    const first = this.#drawn++ * 37
    return Array.from({ length }, (_, index) => this.#text[(first + index) % this.#text.length]!)
  }

  /** Sequences that go on from one prompt. */
  async open (length: number, count: number, options: SequenceOptions = {}): Promise<Sequence[]> {
    const root =
      this.served.engine.open(this.prompt(length), { salt: `bench ${this.#drawn}`, listedLogits: true, ...options })
    await root.output()
    return Array.from({ length: count }, (_, index) => index === count - 1 ? root : root.fork())
  }

  /** Each sequence draws and feeds tokens on its own, as candidates do. @param onToken called at each */
  async grow (
    sequences: readonly Sequence[], tokens: number,
    { temperature = 1, onToken = () => {} }: { temperature?: number, onToken?: () => void } = {}
  ): Promise<void> {
    await Promise.all(sequences.map(async (sequence, index) => {
      const random = randomStream(this.#drawn, String(index))
      for (let count = 0; count < tokens; count++) {
        const u = random.next()
        const { value } = await completed(sequence, await sequence.output(), ({ distribution }) => {
          const sampling = new SamplingDistribution(distribution, new Map(), { temperature, minP: 0, topK: 0, topP: 1 })
          return temperature === 0 ? sampling.argmax() : sampling.draw(u)
        })
        sequence.append(value)
        onToken()
      }
    }))
  }

  async time (work: () => Promise<unknown>): Promise<Timing> {
    const { engine } = this.served
    const [forward, started] = [engine.counters.forwardMs, performance.now()]
    await work()
    return { totalMs: performance.now() - started, forwardMs: engine.counters.forwardMs - forward }
  }

  /** The same so many times; work that is not timed comes before and after it. */
  async repeat (count: number, run: () => Promise<Timing>): Promise<Timing[]> {
    const timings: Timing[] = []
    for (let index = 0; index < count; index++) timings.push(await run())
    return timings
  }
}

export const closeAll = (sequences: readonly Sequence[]): void => { for (const sequence of sequences) sequence.close() }
