/**
 * The oracle of the engine: no KV is kept, nothing is batched or shared; each output is a pass over the whole sequence
 * through the model's own graph, and what the engine derives from logits and hidden states is derived anew.
 */
import type { CausalModel } from '../../src/engine/executor/cpu/cpu-executor.js'
import type {
  Distribution, Output, Sequence, SequenceOptions, SequenceSource, States
} from '../../src/engine/sequence.js'
import { partName, privateShape } from '../../src/models/graph/run-shape.js'
import { Tensor } from '../../src/runtime/tensor.js'

/** What one pass over a sequence says after its last token. */
interface Computed { readonly logits: Float32Array, readonly hidden: ReadonlyMap<number, Float32Array> }

export class NaiveEngine implements SequenceSource {
  readonly model: CausalModel

  constructor (model: CausalModel) { this.model = model }

  open (tokens: readonly number[], options: SequenceOptions = {}): Sequence {
    return new NaiveSequence(this, [...tokens], { ...options, poolFrom: options.poolFrom ?? tokens.length })
  }

  /** Runs all tokens in one pass. */
  async compute (tokens: readonly number[], layers: readonly number[]): Promise<Computed> {
    const { config, sessions } = this.model
    const numbers = (type: 'int32' | 'int64', dims: readonly number[], values: readonly number[]): Tensor =>
      Tensor.from(type, dims, type === 'int64' ? BigInt64Array.from(values, BigInt) : Int32Array.from(values))
    const floats = (...dims: number[]): Tensor => Tensor.allocate('float32', dims)
    const count = tokens.length
    const feeds = new Map([
      ['input_ids', numbers('int64', [1, count], tokens)],
      ['rows', numbers('int64', [1], [count - 1])],
      ['inverse_temperature', Tensor.from('float32', [1, 1], Float32Array.of(1))],
      [partName(0, 'seqlens_k'), numbers('int32', [1], [count - 1])],
      [partName(0, 'total_sequence_length'), numbers('int32', [1], [count])]
    ])
    const logits = floats(1, config.outputSize)
    const hidden = new Map(layers.map(layer => [layer, floats(1, count, config.hiddenSize)]))
    const fetches = new Map([['logits', logits], ...[...hidden].map(([layer, tensor]) =>
      [`hidden_${layer}`, tensor] as const)])
    for (let layer = 0; layer < config.layers; layer++) {
      for (const kind of ['key', 'value']) {
        const kv = floats(1, config.kvHeads, count, config.headSize)
        feeds.set(partName(0, `past_${kind}_${layer}`), kv)
        fetches.set(partName(0, `present_${kind}_${layer}`), kv)
      }
    }
    await sessions.find(privateShape)!.run(feeds, fetches)
    const copied = (tensor: Tensor): Float32Array => (tensor.data as Float32Array).slice()
    const computed = {
      logits: copied(logits),
      hidden: new Map([...hidden].map(([layer, tensor]) => [layer, this.#inModelsBasis(layer, copied(tensor))]))
    }
    for (const tensor of new Set([...feeds.values(), ...fetches.values()])) tensor.dispose()
    return computed
  }

  /** Each position's state by itself. */
  #inModelsBasis (layer: number, states: Float32Array): Float32Array {
    const { hiddenBasis, config: { hiddenSize } } = this.model
    if (!hiddenBasis) return states
    const own = new Float32Array(states.length)
    for (let at = 0; at < states.length; at += hiddenSize) {
      own.set(hiddenBasis(layer, states.subarray(at, at + hiddenSize)), at)
    }
    return own
  }
}

class NaiveSequence implements Sequence {
  readonly tokens: number[]
  readonly #engine: NaiveEngine
  readonly #options: SequenceOptions

  constructor (engine: NaiveEngine, tokens: number[], options: SequenceOptions) {
    this.#engine = engine
    this.tokens = tokens
    this.#options = options
  }

  append (...tokens: number[]): void { this.tokens.push(...tokens) }

  async output (): Promise<Output> {
    const { logits, hidden } = await this.#compute(this.tokens)
    return { distribution: distributionOf(logits, this.#options.temperature ?? 1), ...this.#states(hidden) }
  }

  completeOutput (): Promise<Output> { return this.output() }

  async probe (...tokens: number[]): Promise<States> {
    return this.#states((await this.#compute([...this.tokens, ...tokens])).hidden)
  }

  #compute (tokens: readonly number[]): Promise<Computed> {
    return this.#engine.compute(tokens, this.#options.layers ?? [])
  }

  #states (hidden: Computed['hidden']): States {
    const size = this.#engine.model.config.hiddenSize
    const { poolFrom = 0 } = this.#options
    const positions = (layer: number): Float32Array[] => Array.from({ length: hidden.get(layer)!.length / size },
      (_, at) => hidden.get(layer)!.subarray(at * size, (at + 1) * size))
    const first = [...hidden.keys()][0]
    return {
      pooledTokens: first === undefined ? 0 : positions(first).slice(poolFrom).length,
      hidden: layer => positions(layer).at(-1)!,
      pooled: layer => {
        const pooled = positions(layer).slice(poolFrom)
        return Float32Array.from({ length: size }, (_, at) =>
          pooled.reduce((sum, state) => sum + state[at]!, 0) / Math.max(1, pooled.length))
      }
    }
  }

  fork (): Sequence { return new NaiveSequence(this.#engine, [...this.tokens], this.#options) }

  close (): void {}
}

function distributionOf (logits: Float32Array, temperature: number): Distribution {
  const logSum = (inverse: number): number => {
    const largest = inverse * Math.max(...logits)
    return largest + Math.log(logits.reduce((sum, logit) => sum + Math.exp(inverse * logit - largest), 0))
  }
  const topIds = Int32Array.from([...logits.keys()].sort((a, b) => logits[b]! - logits[a]! || a - b).slice(0, 128))
  return {
    size: logits.length,
    logNormalizer: logSum(1),
    temperedLogNormalizer: logSum(temperature === 0 ? 1 : 1 / temperature),
    topIds,
    topLogits: Float32Array.from(topIds, id => logits[id]!),
    logits
  }
}
