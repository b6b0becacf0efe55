/**
 * What a device is to the engine: measured numbers, where KV is, and what runs passes over it. Chosen here and nowhere
 * else.
 */
import { cheapRowsProfile, cpuProfile, gpuLimits, gpuProfile, type DeviceProfile } from './device-profile.js'
import type { EngineSequence } from './engine-sequence.js'
import { CpuExecutor, type CausalModel, type CpuExecutorOptions } from './executor/cpu/cpu-executor.js'
import { reservedBlocks } from './executor/device/branches.js'
import { DeviceExecutor, type OpenedDevice } from './executor/device/device-executor.js'
import type { Executor } from './executor/executor.js'
import type { KvManager } from './kv/kv-manager.js'
import { PagedManager } from './kv/paged/paged-manager.js'
import { SlotManager, type SlotOptions } from './kv/slots/slot-manager.js'

export interface EngineParts {
  readonly profile: DeviceProfile
  readonly kv: KvManager<EngineSequence>
  readonly executor: Executor<EngineSequence>
}

/** @throws RequestError where there is no memory for the KV of sequences as long as the context */
export function engineParts (
  model: CausalModel | OpenedDevice, options: SlotOptions & CpuExecutorOptions
): EngineParts {
  return 'decoder' in model ? deviceParts(model, options) : cpuParts(model, options)
}

function cpuParts (model: CausalModel, options: SlotOptions & CpuExecutorOptions): EngineParts {
  const profile = model.hasCheapRows ? cheapRowsProfile : cpuProfile
  const slots = new SlotManager<EngineSequence>(model.config, profile.slots, options)
  return { profile, kv: slots, executor: new CpuExecutor(model, slots, profile.passes, options) }
}

function deviceParts (device: OpenedDevice, { prefixCacheBytes }: Pick<SlotOptions, 'prefixCacheBytes'>): EngineParts {
  const { blockSize, numBlocks, bytesPerToken } = device.decoder
  const blocks = new PagedManager<EngineSequence>({
    blockSize,
    numBlocks,
    bytesPerToken,
    reservedBlocks: reservedBlocks(blockSize),
    keepsPrefixes: prefixCacheBytes > 0
  })
  return { profile: gpuProfile, kv: blocks, executor: new DeviceExecutor(device, blocks, gpuLimits) }
}
