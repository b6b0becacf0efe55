/** Tiny models on this machine's device, for tests that need one. */
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { DeviceDecoder, PackedOutput, PackedPass } from '../../src/models/device/device-decoder.js'
import { loadDeviceModel, type LoadedDeviceModel } from '../../src/models/device/load-device-model.js'
import type { DeviceFormat } from '../../src/models/quantization/weight-format.js'
import type { OpenDevice } from '../../src/runtime/device-facts.js'
import { openWebgpu } from '../../src/runtime/webgpu.js'
import { closedAfter } from './closed-after.js'

/** The device; `sorts`: taken for one of hardware, which sorts logits itself. */
export async function openTestDevice (sorts: 'device' | 'host' = 'host'): Promise<OpenDevice> {
  const { device, about } = await openWebgpu()
  return { device, about: { ...about, kind: sorts === 'device' ? 'discrete' : 'cpu' } }
}

/** A model, given back when the test ends. @param path of a checkpoint's folder or a GGUF file */
export async function loadOnDevice (
  t: TestContext, on: OpenDevice, path: string, format: DeviceFormat = 'f32'
): Promise<LoadedDeviceModel> {
  const options = { model: path, format, threads: 1, cacheDir: join(path, '..'), contextLength: 0 }
  return closedAfter(t, await loadDeviceModel(options, on))
}

/** A decoder with room for a few sequences. */
export async function openDecoder (
  t: TestContext, { device, contextLength }: LoadedDeviceModel
): Promise<DeviceDecoder> {
  return closedAfter(t, await device.openDecoder({ contextLength, kvCacheBytes: 1 << 21 }))
}

/** Tokens of one sequence to run. */
export interface Part {
  readonly tokens: readonly number[]
  readonly past: number
  readonly blocks: readonly number[]
}

/** Passes of attention's kernel for so many tokens a part, filled up to four tokens. */
export function passOf (
  decoder: DeviceDecoder, parts: readonly Part[], options: Partial<PackedPass> & { readonly every?: boolean } = {}
): PackedPass {
  const { every = false, ...given } = options
  const ends: number[] = []
  for (const { tokens } of parts) ends.push((ends.at(-1) ?? 0) + tokens.length)
  const total = ends.at(-1)!
  const rows = every ? Array.from({ length: total }, (_, at) => at) : ends.map(end => end - 1)
  return {
    tokenIds: Int32Array.from(parts.flatMap(({ tokens }) => tokens)),
    cumulativeLengths: Int32Array.of(0, ...ends),
    pastLengths: Int32Array.from(parts, ({ past }) => past),
    blockTables: Int32Array.from(parts.flatMap(({ blocks }) =>
      Array.from({ length: decoder.maxBlocksPerSequence }, (_, at) => blocks[at] ?? 0))),
    longestPart: Math.max(...parts.map(({ tokens }) => tokens.length)),
    longestSequence: Math.max(...parts.map(({ tokens, past }) => past + tokens.length)),
    rows: Int32Array.from(rows),
    inverseTemperatures: new Float32Array(rows.length).fill(1),
    logitRows: rows.map((_, index) => index),
    stateLayers: [],
    stateRows: new Int32Array(),
    ...given
  }
}

/** All logits of the rows of a run. */
export const logitsOf = ({ logits }: PackedOutput): number[][] => [...logits.values()].map(row => [...row])
