/**
 * Random streams. Every candidate has its own, derived from the request's seed and the candidate's path, so that what
 * one draws does not depend on when the others draw.
 */
import { createHash } from 'node:crypto'

/** A stream of random numbers. */
export interface Random {
  /** Uniform in [0, 1). */
  next (): number
}

/**
 * The stream of a seed and a path: xoshiro128** (Blackman and Vigna 2018), its state the first 128 bits of SHA-256 of
 * both.
 * @param seed a whole number; beyond ±2^53 those that are the same double give the same stream
 */
export function randomStream (seed: number, path: string): Random {
  const digest = createHash('sha256').update(`${seed}/${path}`).digest()
  const state = new Uint32Array(4)
  for (let i = 0; i < 4; i++) state[i] = digest.readUInt32LE(4 * i)
  const next32 = (): number => {
    const [a, b, c, d] = state as unknown as [number, number, number, number]
    const product = Math.imul(b, 5)
    const result = Math.imul((product << 7) | (product >>> 25), 9) >>> 0
    state[2] = c ^ a
    state[3] = d ^ b
    state[1] = b ^ state[2]
    state[0] = a ^ state[3]
    state[2] ^= b << 9
    state[3] = (state[3]! << 11) | (state[3]! >>> 21)
    return result
  }
  return { next: () => ((next32() >>> 5) * 67108864 + (next32() >>> 6)) / 9007199254740992 }
}
