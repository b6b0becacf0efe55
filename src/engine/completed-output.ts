/** What is computed from an output whose logits may have stayed on a device. */
import { MissingLogits, type Output, type Sequence } from './sequence.js'

/**
 * Computes something from a sequence's output; again, with all logits, where it needs some that are not listed.
 * @param compute without side effects
 * @returns what it gave, and the output that it took
 */
export async function completed<T> (
  sequence: Sequence, output: Output, compute: (output: Output) => T
): Promise<{ readonly value: T, readonly output: Output }> {
  try {
    return { value: compute(output), output }
  } catch (error) {
    if (!(error instanceof MissingLogits)) throw error
    const complete = await sequence.completeOutput()
    return { value: compute(complete), output: complete }
  }
}
