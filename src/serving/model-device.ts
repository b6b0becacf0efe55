/**
 * The device that models run on, one for all models of this process: its turns, and opening it again when it is lost.
 */
import { ComputeLock } from '../engine/compute-lock.js'
import type { OpenDevice } from '../runtime/device-facts.js'

export class ModelDevice {
  /** Shared by the engines on it. */
  readonly lock = new ComputeLock()
  readonly #open: () => Promise<OpenDevice | null>
  #current: OpenDevice
  #reopening: Promise<OpenDevice> | null = null

  private constructor (open: () => Promise<OpenDevice | null>, current: OpenDevice) {
    this.#open = open
    this.#current = current
  }

  /**
   * @param open opens it, and again after it was lost; null where models run on the processor
   * @returns null there
   */
  static async open (open: () => Promise<OpenDevice | null>): Promise<ModelDevice | null> {
    const device = await open()
    return device && new ModelDevice(open, device)
  }

  get current (): OpenDevice { return this.#current }

  /** The device in place of one that was lost: all who lost it get the same. */
  async reopen (lost: OpenDevice): Promise<OpenDevice> {
    if (this.#current !== lost) return this.#current
    this.#reopening ??= this.#replace(lost).finally(() => { this.#reopening = null })
    this.#current = await this.#reopening
    return this.#current
  }

  /** What is on the lost one goes first: as long as anything holds it, ONNX Runtime opens the same again. */
  async #replace ({ device, about }: OpenDevice): Promise<OpenDevice> {
    await device.close()
    const opened = await this.#open()
    if (!opened) throw new Error(`${about.name} was lost and cannot be opened again`)
    return opened
  }

  /** After all that was loaded there has been given back. */
  async close (): Promise<void> { await this.#current.device.close() }
}
