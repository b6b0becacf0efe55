/** Loads a model onto a device: file → converted weights → the device's memory → self-test. Knows no sequences. */
import { RequestError } from '../../errors.js'
import { isSoftware, type DeviceFacts, type OpenDevice } from '../../runtime/device-facts.js'
import { describeInstructionSet } from '../../runtime/instruction-set.js'
import { loadOnnxRuntime } from '../../runtime/onnx-library.js'
import type { Tensor } from '../../runtime/tensor.js'
import { withOpenModel, type ModelFacts, type ModelOptions, type OpenedModel } from '../model.js'
import { loadDecoderWeights } from '../quantization/decoder-weights.js'
import type { OperatorReport } from '../self-test/choose-operators.js'
import { kernelSignature } from '../self-test/kernel-signature.js'
import { operatorNames } from '../self-test/product-test.js'
import { testArithmetic } from './arithmetic-test.js'
import type { DeviceModel } from './device-decoder.js'
import { deviceLayout, DeviceWeights, type DeviceLayout } from './device-weights.js'
import { PackedDecoder } from './packed-decoder.js'
import type { PackedModel } from './packed-model.js'
import { testCaptures, testRows } from './rows-test.js'

/** A model whose weights are on a device. */
export interface LoadedDeviceModel extends ModelFacts {
  readonly device: DeviceModel
  /** Decoders must be disposed first. */
  dispose (): Promise<void>
}

/** Blocks of the cache that the self-test is run with. */
const testBlocks = 8

/** @returns what bits depend on. @throws RequestError where numbers are wrong */
async function selfTest (model: PackedModel, { name }: DeviceFacts): Promise<readonly string[]> {
  const refuse = (problems: readonly string[]): never => {
    throw new RequestError('internal_error',
      `${name} fails the self-test: ${problems.join('; ')}. Set --device to cpu`, { param: 'device' })
  }
  const wrong = await testArithmetic(model.device, model.config, model.layout.matrices.values())
  if (wrong.length > 0) refuse(wrong)
  const decoder = await PackedDecoder.openBlocks(model, model.ropePositions, testBlocks)
  try {
    const { problems, notes } = await testRows(decoder, model.config.vocabularySize)
    if (problems.length > 0) refuse(problems)
    return notes
  } finally {
    await decoder.dispose()
  }
}

/**
 * Whether recorded runs give the numbers of others. Not asked where the host sorts, nor of CUDA, whose recordings are
 * made otherwise.
 * @returns why not; null where they do
 */
async function captureProblem (model: PackedModel): Promise<string | null> {
  const open = (captures: boolean): Promise<PackedDecoder> =>
    PackedDecoder.openBlocks({ ...model, captures }, model.ropePositions, testBlocks)
  const decoders = [await open(false), await open(true)] as const
  try {
    return await testCaptures(...decoders, model.config.vocabularySize)
      ? null
      : 'recorded runs give other numbers than plain ones and are not used'
  } catch (error) {
    return `runs cannot be recorded: ${(error as Error).message}`
  } finally {
    for (const decoder of decoders) await decoder.dispose()
  }
}

/** The model with recorded runs where they can be trusted, and what the self-test found. */
async function tested (
  model: PackedModel, about: DeviceFacts
): Promise<{ readonly model: PackedModel, readonly found: readonly string[] }> {
  const found = await selfTest(model, about)
  if (model.sortsOnHost || model.device.provider.name !== 'webgpu') return { model, found }
  const problem = await captureProblem(model)
  return problem === null ? { model: { ...model, captures: true }, found } : { model, found: [...found, problem] }
}

/** The device's own name stands where the processor's kernels are told apart: its driver's rounding is not known. */
function reportOf (
  { format, layout, notes: held }: DeviceLayout, about: DeviceFacts, threads: number, found: readonly string[]
): OperatorReport {
  return {
    format,
    threads,
    operators: operatorNames(layout),
    sharesPrompts: true,
    device: about,
    onnxruntime: loadOnnxRuntime().version,
    instructionSet: describeInstructionSet(),
    kernels: `${about.id} ${about.name}`,
    notes: [...held, ...found]
  }
}

/** Weights that are read, on the host as far as they stay there. */
interface ReadWeights { readonly host: ReadonlyMap<string, Tensor>, readonly held: DeviceLayout }

async function readWeights (
  { checkpoint: { file, config }, weightOptions }: OpenedModel, { format, threads }: ModelOptions
): Promise<ReadWeights> {
  const held = deviceLayout(config, format, file.tensors)
  const kernels = await kernelSignature()
  const { tensors: host } = await loadDecoderWeights(file, config, { ...weightOptions, ...held, kernels, threads })
  return { host, held }
}

/** @throws RequestError for what the user can mend, and for a device that computes wrongly */
export function loadDeviceModel (
  options: ModelOptions, { device, about }: OpenDevice
): Promise<LoadedDeviceModel> {
  const { threads, onProgress = () => {} } = options
  return withOpenModel(options, async opened => {
    const { checkpoint: { config }, contextLength, facts } = opened
    const { host, held } = await readWeights(opened, options)
    const freeHost = (): void => { for (const tensor of host.values()) tensor.dispose() }
    try {
      const weights = await DeviceWeights.upload(device, config, held.layout, host)
      const untested: PackedModel = {
        device,
        config,
        layout: held.layout,
        weights,
        ropePositions: contextLength,
        sortsOnHost: isSoftware(about),
        captures: false
      }
      try {
        const { model, found } = await tested(untested, about)
        for (const note of [...held.notes, ...found]) onProgress(`${about.name}: ${note}`)
        return {
          ...facts(reportOf(held, about, threads, found), host, weights.sizeBytes),
          device: { openDecoder: size => PackedDecoder.open(model, size) },
          dispose: async () => {
            await weights.dispose()
            freeHost()
          }
        }
      } catch (error) {
        await weights.dispose()
        throw error
      }
    } catch (error) {
      freeHost()
      throw error
    }
  })
}
