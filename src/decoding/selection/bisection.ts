/** Scales a strength down to what a bound allows. Knows no strategy and no bound. */

/** Halvings of the interval: the share is right to 2^−40. */
const halvings = 40

/**
 * The largest share from 0 to 1 that fits, by bisection, where all below one that fits do.
 * @returns 0 where none above it fits; whether 0 itself does is the caller's to ask
 */
export function largestShare (fits: (share: number) => boolean): number {
  if (fits(1)) return 1
  let [low, high] = [0, 1]
  for (let i = 0; i < halvings; i++) {
    const middle = (low + high) / 2
    if (fits(middle)) low = middle
    else high = middle
  }
  return low
}
