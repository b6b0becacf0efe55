/** What routes are given: the inference thread, the settings, whether the server still takes requests. */
import type { Config } from '../config.js'
import { RequestError } from '../errors.js'
import type { InferenceClient } from '../inference/client.js'

/** The part of the inference client that routes use. */
export type Inference = Pick<InferenceClient, 'model' | 'rewards' | 'isReady' | 'generate' | 'score' | 'stats'>

export class Services {
  readonly config: Config
  readonly #inference: () => Inference | null
  #draining = false

  /** @param inference the client, or null while it is being started */
  constructor (config: Config, inference: () => Inference | null) {
    this.config = config
    this.#inference = inference
  }

  /** @throws RequestError unavailable while the model is loading */
  get inference (): Inference {
    const inference = this.#inference()
    if (!inference?.isReady) throw new RequestError('unavailable', 'The model is still loading', { retryAfterMs: 1000 })
    return inference
  }

  get isReady (): boolean { return !this.#draining && (this.#inference()?.isReady ?? false) }
  get isDraining (): boolean { return this.#draining }

  /** From now on new work is refused; what runs goes on. */
  drain (): void { this.#draining = true }

  /** @throws RequestError unavailable once the server is draining */
  refuseIfDraining (): void {
    if (this.#draining) throw new RequestError('unavailable', 'The server is shutting down', { retryAfterMs: 5000 })
  }
}
