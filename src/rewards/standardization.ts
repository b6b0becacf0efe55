/** Raw scores on the scale that all rewards share. */
import { RequestError } from '../errors.js'
import type { Normalization } from './descriptor-parts.js'

/**
 * (raw − mean) / standard deviation.
 * @throws RequestError `scorer_failed`, naming the reward, for a score that is not a finite number
 */
export function standardize (name: string, raw: number, { mean, std }: Normalization): number {
  const standardized = (raw - mean) / std
  if (!Number.isFinite(standardized)) {
    throw new RequestError('scorer_failed', `reward "${name}" must return a finite number; got ${raw}`)
  }
  return standardized
}
