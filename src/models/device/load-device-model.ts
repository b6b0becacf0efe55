/** Loads a model onto a device: file → converted weights → the device's memory. Knows no sequences. */
import type { OpenDevice } from '../../runtime/open-device.js'
import { isSoftware } from '../../runtime/open-device.js'
import { describeInstructionSet } from '../../runtime/instruction-set.js'
import { loadOnnxRuntime } from '../../runtime/onnx-library.js'
import { withOpenModel, type ModelFacts, type ModelOptions } from '../model.js'
import { loadDecoderWeights } from '../quantization/decoder-weights.js'
import type { OperatorReport } from '../self-test/choose-operators.js'
import { kernelSignature } from '../self-test/kernel-signature.js'
import { operatorName } from '../self-test/product-test.js'
import type { DeviceModel } from './device-decoder.js'
import { deviceLayout, DeviceWeights, type DeviceLayout } from './device-weights.js'
import { PackedDecoder, type PackedModel } from './packed-decoder.js'

/** A model whose weights are on a device. */
export interface LoadedDeviceModel extends ModelFacts {
  readonly device: DeviceModel
  /** Decoders must be disposed first. */
  dispose (): Promise<void>
}

/** The device's own name stands where the processor's kernels are told apart: its driver's rounding is not known. */
function reportOf ({ format, layout, notes }: DeviceLayout, { about }: OpenDevice, threads: number): OperatorReport {
  return {
    format,
    threads,
    operators: [...new Set([...layout.matrices.values()].map(operatorName))],
    sharesPrompts: true,
    onnxruntime: loadOnnxRuntime().version,
    instructionSet: describeInstructionSet(),
    kernels: `${about.id} ${about.name}`,
    notes
  }
}

/** @throws RequestError for what the user can mend */
export function loadDeviceModel (options: ModelOptions, on: OpenDevice): Promise<LoadedDeviceModel> {
  const { format: asked, threads, onProgress = () => {} } = options
  return withOpenModel(options, async ({ checkpoint: { file, config }, contextLength, weightOptions, facts }) => {
    const held = deviceLayout(config, asked, file.tensors)
    for (const note of held.notes) onProgress(note)
    const { format, layout, cacheName } = held
    const host = await loadDecoderWeights(file, config,
      { ...weightOptions, format, layout, cacheName, kernels: await kernelSignature(), threads })
    const weights = await DeviceWeights.upload(on.device, config, layout, host)
    const model: PackedModel = {
      device: on.device, config, layout, weights, ropePositions: contextLength, sortsOnHost: isSoftware(on.about)
    }
    return {
      ...facts(reportOf(held, on, threads), host, weights.sizeBytes),
      device: { openDecoder: size => PackedDecoder.open(model, size) },
      dispose: async () => {
        await weights.dispose()
        for (const tensor of host.values()) tensor.dispose()
      }
    }
  })
}
