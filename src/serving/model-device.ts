/**
 * The device that models run on, one for all models of this process: its turns, and opening it again when it is lost.
 */
import { ComputeLock } from '../engine/compute-lock.js'
import type { OpenDevice } from '../runtime/open-device.js'

export class ModelDevice {
  /** Shared by the engines on it. */
  readonly lock = new ComputeLock()
  readonly #open: () => Promise<OpenDevice>
  #current: OpenDevice
  #reopening: Promise<OpenDevice> | null = null

  private constructor (open: () => Promise<OpenDevice>, current: OpenDevice) {
    this.#open = open
    this.#current = current
  }

  /** @param open opens it, and again after it was lost */
  static async open (open: () => Promise<OpenDevice>): Promise<ModelDevice> {
    return new ModelDevice(open, await open())
  }

  get current (): OpenDevice { return this.#current }

  /** The device in place of one that was lost: all who lost it get the same. */
  async reopen (lost: OpenDevice): Promise<OpenDevice> {
    if (this.#current !== lost) return this.#current
    this.#reopening ??= this.#open().finally(() => { this.#reopening = null })
    this.#current = await this.#reopening
    return this.#current
  }

  /** After all that was loaded there has been given back. */
  async close (): Promise<void> { await this.#current.device.close() }
}
