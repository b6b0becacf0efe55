/** Named checks, each reported; the failures are told together at the end. */
import { inspect } from 'node:util'
import { say } from '../../src/cli/command.js'

export class Checks {
  readonly #failures: string[] = []

  /** Runs a check and goes on whatever comes of it. @param run returns what there is to tell of it */
  async check (name: string, run: () => Promise<string | void>): Promise<void> {
    try {
      const told = await run()
      say(`  ok      ${name}${told ? `: ${told}` : ''}`)
    } catch (error) {
      const { message, cause } = error as Error
      this.#failures.push(name)
      say(`  FAILED  ${name}: ${message}${cause === undefined ? '' : ` (${inspect(cause)})`}`)
    }
  }

  /** @throws Error naming what failed */
  end (): void {
    if (this.#failures.length > 0) throw new Error(this.#failures.join('; '))
  }
}

/** The largest difference of two lists of numbers of one length. */
export function largestDifference (one: readonly number[], other: readonly number[]): number {
  if (one.length !== other.length) throw new Error(`${one.length} numbers against ${other.length}`)
  return one.reduce((most, value, index) => Math.max(most, Math.abs(value - other[index]!)), 0)
}

/** @throws Error where numbers differ by more than there is allowed. @returns what they differ by */
export function agree (one: readonly number[], other: readonly number[], most: number): string {
  const difference = largestDifference(one, other)
  if (difference <= most) return `largest difference ${difference.toExponential(1)}`
  throw new Error(`numbers differ by ${difference.toExponential(2)}, at most ${most}: ${one.join()} and ${other.join()}`)
}
