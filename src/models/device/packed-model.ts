/** What decoders on a device are made of, and how their caches are cut. */
import type { Device } from '../../runtime/device.js'
import type { DecoderConfig } from '../decoder-config.js'
import type { WeightLayout } from '../quantization/weight-format.js'
import type { DeviceWeights } from './device-weights.js'

/** A model on a device, as its decoders share it. */
export interface PackedModel {
  readonly device: Device
  readonly config: DecoderConfig
  readonly layout: WeightLayout
  readonly weights: DeviceWeights
  /** Rows of the rotary tables. */
  readonly ropePositions: number
  /** Whether logits are sorted by the host: on a software device, where sorting takes longer than fetching them. */
  readonly sortsOnHost: boolean
  /** Whether decode runs are recorded and replayed. Not where the host sorts: what it takes is not recorded. */
  readonly captures: boolean
}

/**
 * Positions of a block. WebGPU's attention is wrong with fewer than 32; CUDA's fast kernel takes multiples of 256, or
 * of 128 for heads of more than 64 channels.
 */
export function blockSizeOn (provider: Device['provider']['name'], headSize: number): number {
  if (provider === 'webgpu') return 32
  return headSize <= 64 ? 256 : 128
}

/** Bytes of a position's keys and values in all layers, as halves. */
export const kvBytesPerToken = ({ layers, kvHeads, headSize }: DecoderConfig): number =>
  2 * layers * kvHeads * headSize * 2
