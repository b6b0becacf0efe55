/** Guidance as the plugin of integrations/vllm does it, by a head whose Q-head foretells it exactly. */

export interface FakeHead {
  readonly name: string
  /** What it says after a token. */
  readonly value: (token: number) => number
  readonly mean: number
  readonly std: number
}

/** What is guided. */
export interface FakeStep {
  /** Of every token, with bias and masks. */
  readonly logits: readonly number[]
  readonly temperature: number
  readonly isEnd: (token: number) => boolean
  /** The head's values over the answer so far. */
  readonly count: number
  readonly sum: number
}

/** ln π + strength · value, not normalised, of the tokens that may be drawn; the most probable under π first. */
export function guidedScores (
  { value, mean, std }: FakeHead, strength: number, topK: number,
  { logits, temperature, isEnd, count, sum }: FakeStep
): Array<readonly [token: number, score: number]> {
  const ending = count === 0 ? mean : sum / count
  return logits.map((logit, token) => [token, logit] as const).filter(([, logit]) => logit > -Infinity)
    .sort(([a, x], [b, y]) => y - x || a - b).slice(0, topK === 0 ? undefined : topK)
    .map(([token, logit]) => {
      const raw = isEnd(token) ? ending : (sum + value(token)) / (count + 1)
      return [token, logit / (temperature || 1) + strength * (raw - mean) / std]
    })
}

/** @param u in [0, 1); null takes the token of the largest score */
export function drawGuided (scores: ReadonlyArray<readonly [token: number, score: number]>, u: number | null): number {
  const largest = Math.max(...scores.map(([, score]) => score))
  if (u === null) return scores.find(([, score]) => score === largest)![0]
  const total = scores.reduce((sum, [, score]) => sum + Math.exp(score - largest), 0)
  let mass = 0
  return scores.find(([, score]) => (mass += Math.exp(score - largest) / total) > u)?.[0] ?? scores.at(-1)![0]
}
