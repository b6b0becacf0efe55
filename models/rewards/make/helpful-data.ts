/** What the rewards called helpful are fitted and tested on. */
import type { Examples, Pair } from '../../../src/fitting/examples.js'
import { readRows } from './setup.js'

interface Row { readonly prompt: string, readonly chosen: string, readonly rejected: string }
const trainPairs = 1000

const toPair = (
  { prompt, chosen, rejected }: Row
): Pair => ({ messages: [{ role: 'user', content: prompt }], chosen, rejected })

/**
 * Takes pairs in turn from every instruction until there are `count`, so that none dominates; equal prompts stay
 * together.
 */
function spread (rows: readonly Row[], count: number): Row[] {
  const byPrompt = new Map<string, Row[]>()
  for (const row of rows) byPrompt.set(row.prompt, [...byPrompt.get(row.prompt) ?? [], row])
  const taken = new Set<Row>()
  for (let round = 0; taken.size < Math.min(count, rows.length); round++) {
    for (const own of byPrompt.values()) {
      const row = own[round]
      if (row && taken.size < count) taken.add(row)
    }
  }
  return [...byPrompt.values()].flat().filter(row => taken.has(row))
}

/** Everything of a fit that is the same for the head and the ensemble. */
export async function helpfulFit (data: string): Promise<{
  train: Examples,
  test: Examples,
  data: { name: string, licence: string },
  pooling: 'mean',
  prefixes: true,
  maxAnswerTokens: number
}> {
  const train = spread(await readRows<Row>(data, 'helpfulness_pairs.train'), trainPairs)
  const test = await readRows<Row>(data, 'helpfulness_pairs.test')
  return {
    train: { kind: 'pairs', pairs: train.map(toPair) },
    test: { kind: 'pairs', pairs: test.map(toPair) },
    data: {
      name: `${train.length} of the pairs of helpfulness_pairs.train, built from the judged outputs of AlpacaEval 2 ` +
        '(tatsu-lab/alpaca_eval)',
      licence: 'Apache-2.0'
    },
    pooling: 'mean',
    prefixes: true,
    maxAnswerTokens: 128
  }
}

/** How the pairs were prepared, for the cards. */
export const preparation = 'Pairs of two models’ answers to one instruction whose judged preference differs by more ' +
  'than 0.4, taken in turn from all 314 training instructions. In half of the pairs of the whole set the chosen ' +
  'answer is the longer one. Training and test share no instruction.'

/** What the rewards are not good for, for the cards. */
export const limits = [
  'English single-turn instructions only; the judge was a model, and part of what it liked is style (one generator ' +
    'wins most of its pairs).',
  'It does not check facts: a fluent wrong answer can score high.',
  'It knows only the first tokens of an answer that is longer than what it was fitted on, and the running mean blurs ' +
    'what comes late.'
] as const
