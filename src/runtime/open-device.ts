/** Which device graphs run on, by the setting `device`. What is missing is said, with what to do. */
import { RequestError } from '../errors.js'
import { findCuda, openCuda } from './cuda.js'
import { isSoftware, type DeviceFacts, type OpenDevice } from './device-facts.js'
import { findWebgpu, openWebgpu } from './webgpu.js'

/** Settings of the same names. */
export interface DeviceSettings {
  /** `auto`, `cpu`, `webgpu`, `cuda` or `cuda:` and the number of a device. */
  readonly device: string
  /** Folder of the CUDA provider; '' is that of the package onnxruntime-node. */
  readonly cudaProvider: string
}

/** What `auto` tries. */
export interface FoundDevices {
  /** In the order in which it tries them, before the processor. */
  readonly found: readonly DeviceFacts[]
  /** Why others are not tried. */
  readonly passedOver: readonly string[]
}

const indexOf = (device: string): number => Number(device.split(':')[1] ?? 0)

/**
 * The devices that `auto` tries: CUDA's where there is a provider, WebGPU's unless it is software, which is slower than
 * the processor's own engine.
 */
export function findDevices ({ cudaProvider }: Pick<DeviceSettings, 'cudaProvider'>): FoundDevices {
  const [cuda, webgpu] = [findCuda(0, cudaProvider), findWebgpu()]
  const [found, passedOver]: [DeviceFacts[], string[]] = [[], []]
  if (typeof cuda === 'string') passedOver.push(`cuda: ${cuda}`)
  else found.push(cuda)
  if (typeof webgpu === 'string') passedOver.push(`webgpu: ${webgpu}`)
  else if (isSoftware(webgpu)) passedOver.push(`webgpu: ${webgpu.name} is software`)
  else found.push(webgpu)
  return { found, passedOver }
}

const open = (device: string, { cudaProvider }: Pick<DeviceSettings, 'cudaProvider'>): Promise<OpenDevice> =>
  device === 'webgpu' ? openWebgpu() : openCuda(indexOf(device), cudaProvider)

/** Opens the first that can be opened; null: none. */
async function openFound (
  settings: DeviceSettings, onProgress: (message: string) => void
): Promise<OpenDevice | null> {
  const { found, passedOver } = findDevices(settings)
  const reasons = [...passedOver]
  for (const { id, name } of found) {
    try {
      const opened = await open(id, settings)
      onProgress(`running on ${id}, ${name}${reasons.length > 0 ? ` (${reasons.join('; ')})` : ''}`)
      return opened
    } catch (error) {
      reasons.push(`${id}: ${(error as Error).message}`)
    }
  }
  onProgress(`running on the processor (${reasons.join('; ')})`)
  return null
}

/**
 * Opens what the setting says.
 * @param onProgress is told what `auto` takes, and why nothing else
 * @returns null for the processor
 * @throws RequestError where a device that is asked for by name cannot be opened
 */
export async function chooseDevice (
  settings: DeviceSettings, onProgress: (message: string) => void
): Promise<OpenDevice | null> {
  const { device } = settings
  if (device === 'cpu') return null
  if (device === 'auto') return await openFound(settings, onProgress)
  try {
    return await open(device, settings)
  } catch (cause) {
    throw new RequestError('invalid_request', `device ${device}: ${(cause as Error).message}; or set --device to cpu`,
      { param: 'device', cause })
  }
}
