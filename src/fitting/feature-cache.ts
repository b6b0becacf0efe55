/**
 * Features on disk: one file per (weights, format, kernels, layer, pooling), fixed-size records of a 16-byte key and
 * float32 states. Appended to, so an interrupted extraction loses at most the record being written. Deleting the folder
 * is safe. In memory are the keys, and the states of this run only.
 */
import { createHash } from 'node:crypto'
import { ftruncateSync, writeSync } from 'node:fs'
import { mkdir, open, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { storageError } from '../atomic-file.js'
import type { PolicyInfo } from '../rewards/readable-policy.js'

const keyBytes = 16

/** A file that has grown beyond this is begun anew. */
const maxBytes = 2 ** 30

/** Records read at once while keys are collected. */
const recordsAtOnce = 64

/** Key of one answer to one prompt, 32 hex digits. */
export function featureKey (promptTokens: readonly number[], answerTokens: readonly number[]): string {
  const tokens = Int32Array.of(promptTokens.length, ...promptTokens, ...answerTokens)
  return createHash('sha256').update(new Uint8Array(tokens.buffer)).digest('hex').slice(0, 2 * keyBytes)
}

/** States by key, on disk where there is a folder. */
export class FeatureCache {
  readonly #directory: string | null
  readonly #file: FileHandle | null
  readonly #statesPerRecord: number
  readonly #width: number
  /** Where records begin in the file, by key. */
  readonly #offsets = new Map<string, number>()
  /** What was added in this run. */
  readonly #added = new Map<string, Float32Array[]>()
  #size = 0

  private constructor (directory: string | null, file: FileHandle | null, statesPerRecord: number, width: number) {
    this.#directory = directory
    this.#file = file
    this.#statesPerRecord = statesPerRecord
    this.#width = width
  }

  /**
   * @param directory null keeps everything in memory only
   * @throws RequestError storage_failed
   */
  static async open (
    directory: string | null, policy: PolicyInfo,
    { layer, pooling, states }: { layer: number, pooling: string, states: number }
  ): Promise<FeatureCache> {
    if (directory === null) return new FeatureCache(null, null, states, policy.hiddenSize)
    try {
      await mkdir(directory, { recursive: true })
      const { weightsSha256, format, kernels } = policy
      const name = `${weightsSha256.slice(0, 16)}-${format}-${kernels}-layer${layer}-${pooling}.f32`
      const file = await open(join(directory, name), 'a+')
      const cache = new FeatureCache(directory, file, states, policy.hiddenSize)
      await cache.#collectKeys(file)
      return cache
    } catch (cause) {
      throw storageError('features', directory, cause)
    }
  }

  get #recordBytes (): number { return keyBytes + this.#statesPerRecord * this.#width * 4 }

  /** Cuts off a torn last record, so that appending stays aligned. */
  async #collectKeys (file: FileHandle): Promise<void> {
    const { size } = await file.stat()
    this.#size = size > maxBytes ? 0 : size - size % this.#recordBytes
    if (this.#size < size) await file.truncate(this.#size)
    const chunk = Buffer.alloc(recordsAtOnce * this.#recordBytes)
    for (let at = 0; at < this.#size; at += chunk.length) {
      const { bytesRead } = await file.read(chunk, 0, Math.min(chunk.length, this.#size - at), at)
      for (let record = 0; record < bytesRead; record += this.#recordBytes) {
        this.#offsets.set(chunk.toString('hex', record, record + keyBytes), at + record)
      }
    }
  }

  has (key: string): boolean {
    return this.#added.has(key) || this.#offsets.has(key)
  }

  /**
   * Keeps the states; a key that is there already stays as it is.
   * @throws RequestError storage_failed where the disk does not take them
   */
  add (key: string, states: Float32Array[]): void {
    if (this.has(key)) return
    this.#added.set(key, states)
    if (!this.#file) return
    const record = Buffer.concat([Buffer.from(key, 'hex'),
      ...states.map(state => new Uint8Array(state.buffer, state.byteOffset, state.byteLength))])
    try {
      for (let done = 0; done < record.length;) done += writeSync(this.#file.fd, record, done)
      this.#size += record.length
    } catch (cause) {
      ftruncateSync(this.#file.fd, this.#size)
      throw storageError('features', this.#directory!, cause)
    }
  }

  /** States of keys, in their order. @throws Error for a key that was never added */
  async read (keys: readonly string[]): Promise<Float32Array[][]> {
    const read = new Map<string, Float32Array[]>(this.#added)
    for (const key of keys) if (!read.has(key)) read.set(key, await this.#load(key))
    return keys.map(key => read.get(key)!)
  }

  async #load (key: string): Promise<Float32Array[]> {
    const offset = this.#offsets.get(key)
    if (offset === undefined) throw new Error(`no features of key ${key}`)
    const values = new Float32Array(this.#statesPerRecord * this.#width)
    await this.#file!.read(new Uint8Array(values.buffer), 0, values.byteLength, offset + keyBytes)
    return Array.from({ length: this.#statesPerRecord }, (_, index) =>
      values.subarray(index * this.#width, (index + 1) * this.#width))
  }

  async close (): Promise<void> { await this.#file?.close() }
}
