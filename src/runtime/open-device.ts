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

/** What `auto` takes, or why it takes the processor. */
export interface FoundDevice {
  readonly about: DeviceFacts | null
  /** Why each device that comes before it was passed over. */
  readonly passedOver: readonly string[]
}

const indexOf = (device: string): number => Number(device.split(':')[1] ?? 0)

const refuse = (device: string, why: string, cause?: unknown): RequestError =>
  new RequestError('invalid_request', `device ${device}: ${why}; or set --device to cpu`, { param: 'device', cause })

/**
 * The device that `auto` would take: CUDA's where there is a provider, WebGPU's unless it is software, which is slower
 * than the processor's own engine.
 */
export function findDevice ({ cudaProvider }: Pick<DeviceSettings, 'cudaProvider'>): FoundDevice {
  const cuda = findCuda(0, cudaProvider)
  if (typeof cuda !== 'string') return { about: cuda, passedOver: [] }
  const webgpu = findWebgpu()
  const passedOver = [`cuda: ${cuda}`]
  if (typeof webgpu === 'string') return { about: null, passedOver: [...passedOver, `webgpu: ${webgpu}`] }
  return isSoftware(webgpu)
    ? { about: null, passedOver: [...passedOver, `webgpu: ${webgpu.name} is software`] }
    : { about: webgpu, passedOver }
}

/** Opens a device by its name. @throws RequestError that says what is missing */
async function open (device: string, { cudaProvider }: Pick<DeviceSettings, 'cudaProvider'>): Promise<OpenDevice> {
  try {
    return await (device === 'webgpu' ? openWebgpu() : openCuda(indexOf(device), cudaProvider))
  } catch (error) {
    throw refuse(device, (error as Error).message, error)
  }
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
  if (settings.device === 'cpu') return null
  if (settings.device !== 'auto') return await open(settings.device, settings)
  const { about, passedOver } = findDevice(settings)
  const onProcessor = (reasons: readonly string[]): null => {
    onProgress(`running on the processor (${reasons.join('; ')})`)
    return null
  }
  if (!about) return onProcessor(passedOver)
  try {
    const opened = await open(about.id, settings)
    onProgress(`running on ${about.id}, ${about.name}`)
    return opened
  } catch (error) {
    return onProcessor([...passedOver, (error as Error).message])
  }
}
