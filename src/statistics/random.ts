/**
 * Random numbers for fitting and its controls: the same from the same seed. Requests have streams of their own
 * (`decoding/random.ts`).
 */

/** Uniform numbers in [0, 1) from a 32-bit seed (mulberry32): enough for pools and bootstraps. */
export function uniform (seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Standard normal (Box–Muller). */
export function normal (random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
}
