/**
 * Features on disk: one file per (weights, format, layer, pooling), fixed-size records of a 16-byte key and float32
 * states. Appended to, so an interrupted extraction loses at most the record being written. Deleting the folder is safe.
 */
import { createHash } from 'node:crypto'
import { appendFile, mkdir, readFile, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import type { PolicyInfo } from './policy.js'

const keyBytes = 16

/** Key of one answer to one prompt, 32 hex digits. */
export function featureKey (promptTokens: readonly number[], answerTokens: readonly number[]): string {
  const tokens = Int32Array.of(promptTokens.length, ...promptTokens, ...answerTokens)
  return createHash('sha256').update(new Uint8Array(tokens.buffer)).digest('hex').slice(0, 2 * keyBytes)
}

/** States by key, in memory and, with a folder, on disk. */
export class FeatureCache {
  readonly #file: string | null
  readonly #states = new Map<string, Float32Array[]>()

  private constructor (file: string | null) {
    this.#file = file
  }

  /** @param directory null keeps everything in memory only */
  static async open (directory: string | null, policy: PolicyInfo, { layer, pooling, states }: { layer: number, pooling: string, states: number }): Promise<FeatureCache> {
    if (directory === null) return new FeatureCache(null)
    await mkdir(directory, { recursive: true })
    const cache = new FeatureCache(join(directory, `${policy.weightsSha256.slice(0, 16)}-${policy.format}-layer${layer}-${pooling}.f32`))
    await cache.#load(states, policy.hiddenSize)
    return cache
  }

  /** Reads whole records and cuts off a torn last one, so that appending stays aligned. */
  async #load (states: number, width: number): Promise<void> {
    const bytes = await readFile(this.#file!).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return Buffer.alloc(0)
      throw error
    })
    const recordBytes = keyBytes + states * width * 4
    const records = Math.floor(bytes.length / recordBytes)
    if (bytes.length > records * recordBytes) await truncate(this.#file!, records * recordBytes)
    for (let record = 0; record < records; record++) {
      const at = record * recordBytes
      const values = new Float32Array(states * width)
      new Uint8Array(values.buffer).set(bytes.subarray(at + keyBytes, at + recordBytes))
      const key = bytes.toString('hex', at, at + keyBytes)
      this.#states.set(key, Array.from({ length: states }, (_, index) => values.subarray(index * width, (index + 1) * width)))
    }
  }

  has (key: string): boolean {
    return this.#states.has(key)
  }

  /** @throws Error for a key that was never added */
  get (key: string): Float32Array[] {
    const states = this.#states.get(key)
    if (!states) throw new Error(`no features of key ${key}`)
    return states
  }

  /** Keeps the states; a key that is there already stays as it is. */
  async add (key: string, states: Float32Array[]): Promise<void> {
    if (this.#states.has(key)) return
    this.#states.set(key, states)
    if (this.#file === null) return
    const parts = states.map(state => new Uint8Array(state.buffer, state.byteOffset, state.byteLength))
    await appendFile(this.#file, Buffer.concat([Buffer.from(key, 'hex'), ...parts]))
  }
}
