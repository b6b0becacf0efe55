/**
 * WebGPU's device: what Vulkan has is asked before anything is opened, since opening says no more than that it failed.
 */
import { Device } from './device.js'
import type { DeviceFacts, OpenDevice } from './device-facts.js'
import { GraphWriter } from './graph.js'
import { floatsToHalves } from './float16.js'
import { Tensor } from './tensor.js'
import { surveyVulkan, type VulkanDevice } from './vulkan.js'

/** Ids of the most probable tokens are 64-bit integers until they are cast. */
const webgpuOptions = { enableInt64: '1' }

/** What Vulkan says of the adapter that Dawn takes: the fastest kind, and of a kind the first. */
function likelyAdapter (devices: readonly VulkanDevice[]): VulkanDevice | undefined {
  const order: ReadonlyArray<VulkanDevice['kind']> = ['discrete', 'integrated', 'virtual', 'other', 'cpu']
  return order.map(kind => devices.find(device => device.kind === kind)).find(device => device !== undefined)
}

const platformNames: Partial<Record<NodeJS.Platform, string>> = { darwin: 'Metal', win32: 'Direct3D 12' }

/** What is known of WebGPU's device before it is opened; a text says why there is none. */
export function findWebgpu (): DeviceFacts | string {
  const survey = surveyVulkan()
  const adapter = likelyAdapter(survey.devices)
  if (adapter) {
    const { name, kind, memoryBytes, maxStorageBufferBytes } = adapter
    return { id: 'webgpu', name, kind, memoryBytes, maxStorageBufferBytes }
  }
  const platform = platformNames[process.platform]
  if (platform === undefined) return `${survey.problem ?? 'Vulkan has no device'}`
  return { id: 'webgpu', name: platform, kind: 'unknown', memoryBytes: null, maxStorageBufferBytes: null }
}

/** Adds a half to itself: a device without float16 says so only when something is run. */
async function checkHalves (device: Device): Promise<void> {
  const graph = new GraphWriter()
  graph.input('x', 'float16', [1])
  graph.output('y', 'float16', [1])
  graph.node('Add', ['x', 'x'], ['y'])
  const session = await device.compile(graph.finish())
  const x = Tensor.from('float16', [1], floatsToHalves(Float32Array.of(1.5)))
  const y = Tensor.from('float16', [1], new Uint16Array(1))
  try {
    await device.run(session, new Map([['x', x]]), new Map([['y', y]]))
    const [three] = floatsToHalves(Float32Array.of(3))
    if (y.data[0] !== three) throw new Error(`1.5 + 1.5 gave the bits ${y.data[0]!} in place of ${three!}`)
  } finally {
    for (const tensor of [x, y]) tensor.dispose()
  }
}

/** Opens WebGPU's device. @throws Error that says what is missing */
export async function openWebgpu (): Promise<OpenDevice> {
  const about = findWebgpu()
  if (typeof about === 'string') throw new Error(`${about}: install the driver of the GPU with Vulkan`)
  const device = await Device.open({ name: 'webgpu', options: webgpuOptions })
  try {
    await checkHalves(device)
    return { device, about }
  } catch (error) {
    await device.close()
    throw new Error(`${about.name} does not compute with 16-bit floats, which the KV cache needs: ` +
      (error as Error).message, { cause: error })
  }
}
