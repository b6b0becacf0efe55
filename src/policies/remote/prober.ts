/** Asks one replica for a few tokens, to find out what it does. */
import { plainSampling, type SamplingParams } from '../sampling-params.js'
import type { EngineCall, EngineProtocol, EngineToken, EngineUsage } from './engine-call.js'
import { EngineFailure } from './engine-failure.js'
import type { Replica } from './replica.js'

/** The most probable token. */
export const greedy: SamplingParams = { ...plainSampling, temperature: 0, maxTokens: 1 }

export class Prober {
  readonly #replica: Replica
  readonly #protocol: EngineProtocol
  readonly #model: string
  readonly #tokens: readonly number[]
  usage: EngineUsage | null = null

  constructor (replica: Replica, protocol: EngineProtocol, model: string, tokens: readonly number[]) {
    this.#replica = replica
    this.#protocol = protocol
    this.#model = model
    this.#tokens = tokens
  }

  /** @throws EngineFailure */
  async draw (given: Partial<EngineCall>): Promise<EngineToken[]> {
    const call: EngineCall = {
      tokens: this.#tokens,
      maxTokens: 1,
      minTokens: 0,
      sampling: greedy,
      seed: 1,
      stops: [],
      endTokens: [],
      alternatives: 0,
      structure: null,
      heads: null,
      guidance: null,
      interval: 1,
      salt: '',
      ...given
    }
    const drawn: EngineToken[] = []
    const stream = this.#replica.stream(this.#protocol, call, {
      model: this.#model,
      session: 'probe',
      signal: new AbortController().signal,
      onUsage: usage => { this.usage = usage }
    })
    for await (const token of stream) drawn.push(token)
    return drawn
  }

  /** Ids alone; null where the engine refuses the call. */
  async tokens (given: Partial<EngineCall>): Promise<number[] | null> {
    try {
      return (await this.draw(given)).map(({ token }) => token)
    } catch (error) {
      if (error instanceof EngineFailure && error.kind === 'refused') return null
      throw error
    }
  }
}
