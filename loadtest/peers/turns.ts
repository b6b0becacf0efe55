/** Contestants take turns, so that what slows the machine down for a while slows all of them. Knows no engine. */

export interface Turns<Contestant> {
  /** One contestant's turn. @param turn how many it had before */
  readonly take: (contestant: Contestant, turn: number) => Promise<void>
  /** Told once of a contestant whose turn failed: it has no more, the others go on. Ends them all if it throws. */
  readonly failed: (contestant: Contestant, error: unknown) => void
  /** After each round. @param done how many there were */
  readonly ended: (done: number) => void
}

/** A B C A B C …: so many rounds. */
export async function inTurns <Contestant> (
  contestants: readonly Contestant[], rounds: number, { take, failed, ended }: Turns<Contestant>
): Promise<void> {
  const left = new Set(contestants)
  for (let turn = 0; turn < rounds; turn++) {
    for (const contestant of left) {
      try {
        await take(contestant, turn)
      } catch (error) {
        failed(contestant, error)
        left.delete(contestant)
      }
    }
    ended(turn + 1)
  }
}
