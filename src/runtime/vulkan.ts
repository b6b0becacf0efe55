/**
 * The devices that Vulkan has, asked of its loader before any is opened: ONNX Runtime says nothing of them, and opens
 * the first. Source: vulkan_core.h; offsets of structures are those of 64-bit platforms.
 */
import koffi from 'koffi'
import { loadLibrary } from './native-library.js'

/** VkPhysicalDeviceType. A `cpu` is a software implementation, such as Mesa's lavapipe. */
const kinds = ['other', 'integrated', 'discrete', 'virtual', 'cpu'] as const

/** What Vulkan says of a device. */
export interface VulkanDevice {
  readonly name: string
  readonly kind: typeof kinds[number]
  /** PCI numbers of the vendor and of the device. */
  readonly vendorId: number
  readonly deviceId: number
  /** e.g. "1.4". */
  readonly apiVersion: string
  /** Largest buffer that a shader can read as one, bytes. */
  readonly maxStorageBufferBytes: number
  /** Memory of its own, bytes; for an integrated one what it may have of the machine's. */
  readonly memoryBytes: number
}

/** What was found, or why nothing was. */
export interface VulkanSurvey {
  readonly devices: readonly VulkanDevice[]
  /** Why there are none; null where there are. */
  readonly problem: string | null
}

const loaderNames: Partial<Record<NodeJS.Platform, readonly string[]>> = {
  linux: ['libvulkan.so.1', 'libvulkan.so'], win32: ['vulkan-1.dll']
}

/** VK_ERROR_INCOMPATIBLE_DRIVER. */
const incompatibleDriver = -9
/** Bytes that hold a VkPhysicalDeviceProperties or a VkPhysicalDeviceMemoryProperties. */
const structBytes = 1024

function loader (): ReturnType<typeof loadLibrary> | null {
  for (const name of loaderNames[process.platform] ?? []) {
    try { return loadLibrary(name) } catch { /* The next name. */ }
  }
  return null
}

const struct = (bytes: number): DataView => new DataView(new ArrayBuffer(bytes))
const bytesOf = (view: DataView): Uint8Array => new Uint8Array(view.buffer)

/** VkInstanceCreateInfo that asks for Vulkan 1.1. @returns it and what it points to, to be kept */
function instanceInfo (): readonly [DataView, DataView] {
  const application = struct(48)
  application.setUint32(44, (1 << 22) | (1 << 12), true)
  const info = struct(64)
  info.setInt32(0, 1, true)
  info.setBigUint64(24, koffi.address(bytesOf(application)), true)
  return [info, application]
}

/** @param properties VkPhysicalDeviceProperties @param memory VkPhysicalDeviceMemoryProperties */
function describe (properties: DataView, memory: DataView): VulkanDevice {
  const word = (view: DataView, at: number): number => view.getUint32(at, true)
  const heaps = Array.from({ length: word(memory, 260) }, (_, heap) => ({
    bytes: Number(memory.getBigUint64(264 + 16 * heap, true)), isOwn: (word(memory, 264 + 16 * heap + 8) & 1) === 1
  }))
  const version = word(properties, 0)
  return {
    name: Buffer.from(properties.buffer, 20, 256).toString('utf8').split('\0')[0]!,
    kind: kinds[word(properties, 16)] ?? 'other',
    vendorId: word(properties, 8),
    deviceId: word(properties, 12),
    apiVersion: `${(version >>> 22) & 127}.${(version >>> 12) & 1023}`,
    // The limits begin at 296; maxStorageBufferRange is the eighth of their numbers.
    maxStorageBufferBytes: word(properties, 296 + 7 * 4),
    memoryBytes: Math.max(0, ...heaps.filter(({ isOwn }) => isOwn).map(({ bytes }) => bytes))
  }
}

/** Every device of Vulkan, in its order. On macOS, where WebGPU is Metal's, there are none. */
export function surveyVulkan (): VulkanSurvey {
  const none = (problem: string): VulkanSurvey => ({ devices: [], problem })
  const library = loader()
  if (!library) return none('there is no Vulkan loader (libvulkan)')
  const create = library.func('int vkCreateInstance(void *, void *, _Out_ void **)')
  const destroy = library.func('void vkDestroyInstance(void *, void *)')
  const enumerate = library.func('int vkEnumeratePhysicalDevices(void *, _Inout_ uint32_t *, void *)')
  const [info, application] = instanceInfo()
  const out: unknown[] = [null]
  const code = create(bytesOf(info), null, out) as number
  if (code !== 0) {
    return none(code === incompatibleDriver
      ? 'Vulkan has no driver (ICD)'
      : `vkCreateInstance failed with ${code} at version ${application.getUint32(44, true)}`)
  }
  try {
    const count = [0]
    enumerate(out[0], count, null)
    const handles = new BigUint64Array(new ArrayBuffer(8 * Math.max(1, count[0]!)))
    enumerate(out[0], count, handles)
    const properties = library.func('void vkGetPhysicalDeviceProperties(void *, void *)')
    const memory = library.func('void vkGetPhysicalDeviceMemoryProperties(void *, void *)')
    const devices = Array.from(handles.subarray(0, count[0]), handle => {
      const [said, heaps] = [struct(structBytes), struct(structBytes)]
      properties(handle, bytesOf(said))
      memory(handle, bytesOf(heaps))
      return describe(said, heaps)
    })
    return devices.length === 0 ? none('Vulkan has no device') : { devices, problem: null }
  } finally {
    destroy(out[0], null)
  }
}
