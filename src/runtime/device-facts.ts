/** What is known of a device, for people to read and to choose by. */
import type { Device } from './device.js'
import type { VulkanDevice } from './vulkan.js'

/** A device, open or not. */
export interface DeviceFacts {
  /** As the setting names it, e.g. "webgpu". */
  readonly id: string
  /** Of the adapter, or of the interface where that does not say. */
  readonly name: string
  /** `unknown` where the system cannot be asked. */
  readonly kind: VulkanDevice['kind'] | 'unknown'
  /** Its own memory, bytes; null where the system cannot be asked. */
  readonly memoryBytes: number | null
  /** Largest buffer that a shader can read as one, bytes; null where the system cannot be asked. */
  readonly maxStorageBufferBytes: number | null
}

/** A device that is open. */
export interface OpenDevice {
  readonly device: Device
  readonly about: DeviceFacts
}

/** Whether a device is computed by the processor: slower than the engine of the processor itself. */
export const isSoftware = ({ kind }: DeviceFacts): boolean => kind === 'cpu'
