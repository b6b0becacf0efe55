/**
 * Converted weights → a device's memory: uploaded once, shared by all graphs of a model. How matrices are held there is
 * the layout of a weight format as far as devices have operators for it.
 */
import { floatsToHalves } from '../../runtime/float16.js'
import type { Device, DeviceTensor } from '../../runtime/device.js'
import type { Tensor } from '../../runtime/tensor.js'
import type { DecoderConfig } from '../decoder-config.js'
import { decoderMatrices, matrixTensors } from '../graph/decoder-matrices.js'
import { groupSize } from '../formats/dequantize.js'
import type { TensorFile } from '../formats/tensor-file.js'
import { headHoldsEmbedding } from '../quantization/convert-weights.js'
import { weightLayout, type DeviceFormat, type MatrixKind, type WeightLayout } from '../quantization/weight-format.js'

/** How a model's matrices are held on a device. */
export interface DeviceLayout {
  /** The format asked for, or the nearest that devices have. */
  readonly format: DeviceFormat
  readonly layout: WeightLayout
  /** What the cache of converted weights is called: another than the processor's where it holds others. */
  readonly cacheName: string
  /** What is different from what was asked for. */
  readonly notes: readonly string[]
}

/**
 * 8-bit blocks of 32: on devices they are multiplied by the fastest kernel whose rows do not depend on each other. A
 * file's own integers where it has them.
 */
function blocksOf32 (config: DecoderConfig, name: string, tensors: TensorFile['tensors']): MatrixKind {
  const isOwn = matrixTensors(config, name).every(tensor => tensors.get(tensor)!.encoding.grouping?.centred === true)
  return {
    operator: 'blocks', bits: 8, size: groupSize, values: isOwn ? 'file' : 'rounded', offsets: false, paddingRow: false
  }
}

const half: MatrixKind = { operator: 'half' }

/** Float32 matrices in 16 bits, but for those whose few scores are all that comes out. */
function halves ({ matrices, embedding }: WeightLayout, { scoreHead }: DecoderConfig): WeightLayout {
  const kinds = [...matrices].map(([name, kind]) => {
    const isScore = scoreHead !== null && (name === 'head' || name === 'score_hidden')
    return [name, isScore ? kind : half] as const
  })
  return { rotatesHidden: false, matrices: new Map(kinds), embedding }
}

/** @param tensors of the model's file */
export function deviceLayout (
  config: DecoderConfig, format: DeviceFormat, tensors: TensorFile['tensors']
): DeviceLayout {
  if (format === 'f16') {
    return { format, layout: halves(weightLayout(config, 'f32', tensors), config), cacheName: format, notes: [] }
  }
  if (format !== 'i8' && format !== 'q8') {
    return { format, layout: weightLayout(config, format, tensors), cacheName: format, notes: [] }
  }
  const { embedding, matrices } = weightLayout(config, 'q8', tensors)
  const kinds = [...decoderMatrices(config).keys()].map(name => {
    const kind = matrices.get(name)!
    return [name, kind.operator === 'blocks' ? blocksOf32(config, name, tensors) : kind] as const
  })
  const notes = format === 'q8' ? [] : ['format i8 is the processor’s: using q8, 8-bit blocks of 32']
  const layout = { rotatesHidden: false, matrices: new Map(kinds), embedding }
  return { format: 'q8', layout, cacheName: 'q8-32', notes }
}

/** Rotary tables are read beside queries and keys, in their type. */
const isHalf = (name: string): boolean => name === 'rope_cos' || name === 'rope_sin'

/** The weights of one model on a device. */
export class DeviceWeights {
  readonly tensors: ReadonlyMap<string, DeviceTensor>
  readonly sizeBytes: number
  readonly #device: Device
  /** Those that own memory; the others show that of another. */
  readonly #owners: readonly DeviceTensor[]
  readonly #views: readonly DeviceTensor[]

  private constructor (
    device: Device, owners: ReadonlyMap<string, DeviceTensor>, views: ReadonlyMap<string, DeviceTensor>
  ) {
    this.#device = device
    this.tensors = new Map([...owners, ...views])
    this.#owners = [...owners.values()]
    this.#views = [...views.values()]
    this.sizeBytes = this.#owners.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
  }

  /**
   * Copies weights to a device. Those of the host are given back one by one, but for the embedding's rows, which stay
   * readable.
   * @param host every external initializer of the decoder, by name
   */
  static async upload (
    device: Device, config: DecoderConfig, layout: WeightLayout, host: ReadonlyMap<string, Tensor>
  ): Promise<DeviceWeights> {
    const isShared = headHoldsEmbedding(config, layout)
    const owners = new Map<string, DeviceTensor>()
    try {
      for (const [name, tensor] of host) {
        const isEmbedding = name.startsWith('embedding')
        if (!(isShared && isEmbedding)) owners.set(name, await send(device, name, tensor))
        if (!isEmbedding && !(isShared && name.startsWith('head.'))) tensor.dispose()
      }
    } catch (error) {
      await device.free([...owners.values()])
      throw error
    }
    const { vocabularySize, hiddenSize } = config
    const views = new Map(isShared
      ? ([['values', hiddenSize], ['scales', hiddenSize / groupSize]] as const).map(([part, columns]) =>
          [`embedding.${part}`, owners.get(`head.${part}`)!.shaped([vocabularySize, columns])])
      : [])
    return new DeviceWeights(device, owners, views)
  }

  /** Those of a graph that does not have all. */
  only (names: ReadonlySet<string>): ReadonlyMap<string, DeviceTensor> {
    return new Map([...names].map(name => [name, this.tensors.get(name)!]))
  }

  /** Sessions that use them must be disposed first. */
  async dispose (): Promise<void> {
    this.#device.release(this.#views)
    await this.#device.free(this.#owners)
  }
}

function send (device: Device, name: string, { type, dims, data }: Tensor): Promise<DeviceTensor> {
  return isHalf(name)
    ? device.upload('float16', dims, floatsToHalves(data as Float32Array))
    : device.upload(type, dims, data)
}
