/** Contestants take turns, so that what slows the machine down for a while slows all of them. Knows no engine. */

export interface Turns<Contestant, Taken> {
  /** One contestant's turn. @param turn how many it had before */
  readonly take: (contestant: Contestant, turn: number) => Promise<Taken>
  /** Called once for a contestant whose turn failed: it gets no more, the others go on. If it throws, all end. */
  readonly failed: (contestant: Contestant, error: unknown) => void
  /** After each round. @param done how many there were */
  readonly ended: (done: number) => void
}

/**
 * A B C A B C …: so many rounds.
 * @param taken what each turn gave, by contestant: filled as they end
 */
export async function inTurns <Contestant extends { readonly name: string }, Taken> (
  contestants: readonly Contestant[], rounds: number, taken: Map<string, Taken[]>,
  { take, failed, ended }: Turns<Contestant, Taken>
): Promise<void> {
  for (const { name } of contestants) taken.set(name, [])
  const left = new Set(contestants)
  for (let turn = 0; turn < rounds; turn++) {
    for (const contestant of left) {
      try {
        taken.get(contestant.name)!.push(await take(contestant, turn))
      } catch (error) {
        failed(contestant, error)
        left.delete(contestant)
      }
    }
    ended(turn + 1)
  }
}
