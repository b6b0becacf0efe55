/**
 * A policy without a model, for tests of rewards: the hidden state of token t at layer l is [t, l, 1], the distribution
 * over four tokens is always the same. Counts what was run.
 */
import { readAnswer } from '../../src/policies/local/answers.js'
import type {
  Distribution, Output, Sequence, SequenceOptions, SequenceSource, States
} from '../../src/engine/sequence.js'
import type { ReadablePolicy } from '../../src/rewards/readable-policy.js'
import type { Answer } from '../../src/rewards/scorer.js'

const probabilities = [0.1, 0.4, 0.3, 0.2]
const logits = Float32Array.from(probabilities, Math.log)
const distribution: Distribution = {
  size: 4,
  logNormalizer: 0,
  temperedLogNormalizer: 0,
  topIds: Int32Array.of(1, 2, 3, 0),
  topLogits: logits.slice().sort().reverse(),
  logits
}

/** What a `ToyStates` did. */
export interface ToyCounts { opened: number, closed: number, forks: number, outputs: number, probes: number }

class ToySequence implements Sequence {
  readonly tokens: number[]
  readonly #poolFrom: number
  readonly #counts: ToyCounts

  constructor (tokens: readonly number[], poolFrom: number, counts: ToyCounts) {
    this.tokens = [...tokens]
    this.#poolFrom = poolFrom
    this.#counts = counts
  }

  append (...tokens: number[]): void { this.tokens.push(...tokens) }

  async output (): Promise<Output> {
    this.#counts.outputs++
    return { distribution, ...this.#states(this.tokens) }
  }

  completeOutput (): Promise<Output> { return this.output() }

  async probe (...tokens: number[]): Promise<States> {
    this.#counts.probes++
    return this.#states([...this.tokens, ...tokens])
  }

  #states (tokens: readonly number[]): States {
    const pooled = tokens.slice(this.#poolFrom)
    const last = tokens.at(-1)!
    const mean = pooled.length === 0 ? 0 : pooled.reduce((sum, token) => sum + token, 0) / pooled.length
    return {
      hidden: layer => Float32Array.of(last, layer, 1),
      pooled: layer => pooled.length === 0 ? new Float32Array(3) : Float32Array.of(mean, layer, 1),
      pooledTokens: pooled.length
    }
  }

  fork (): Sequence {
    this.#counts.forks++
    this.#counts.opened++
    return new ToySequence(this.tokens, this.#poolFrom, this.#counts)
  }

  close (): void { this.#counts.closed++ }
}

/** Opens toy sequences. */
export class ToyStates implements SequenceSource {
  readonly counts: ToyCounts = { opened: 0, closed: 0, forks: 0, outputs: 0, probes: 0 }

  open (tokens: readonly number[], options: SequenceOptions = {}): Sequence {
    this.counts.opened++
    return new ToySequence(tokens, options.poolFrom ?? tokens.length, this.counts)
  }
}

/** A policy over a toy: prompts are one token 9; the tokens of an answer are the digits in its text. End token 0. */
export function toyPolicy (source: SequenceSource = new ToyStates()): ReadablePolicy {
  return {
    id: 'toy',
    weightsSha256: '0'.repeat(64),
    format: 'f32',
    kernels: 'toy',
    hiddenSize: 3,
    layers: 4,
    endTokens: [0],
    embedding: token => Float32Array.of(token, 0, 1),
    contextLength: 200,
    source,
    reserve: async () => ({ release () {} }),
    tokens: async chats =>
      chats.map(({ text }) => ({ promptTokens: [9], answerTokens: Array.from(text.matchAll(/\d/g), Number) }))
  }
}

/** An answer of some tokens to the prompt [9], with its sequence. */
export async function toyAnswer (tokens: readonly number[], {
  final = true, text = tokens.join(' '), source = new ToyStates()
}: { final?: boolean, text?: string, source?: SequenceSource } = {}): Promise<Answer> {
  const sequence = source.open([9])
  sequence.append(...tokens)
  return readAnswer({ text, tokens, final }, sequence, await sequence.output())
}
