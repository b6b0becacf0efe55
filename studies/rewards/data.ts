/** What the built-in rewards are fitted and tested on. */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Examples, Labelled, Pair } from '../../src/fitting/examples.js'
import { packageRoot } from '../../src/package-root.js'
import { readRows } from '../setup.js'
import { tidy } from './tidy.js'

/** Everything of a fit but its layers. */
export interface FitData {
  readonly train: Examples
  readonly test: Examples
  readonly data: { readonly name: string, readonly licence: string }
  readonly pooling: 'mean'
  readonly prefixes: true
  readonly maxAnswerTokens?: number
}

export interface PairRow { readonly prompt: string, readonly chosen: string, readonly rejected: string }
export interface TextRow { readonly text: string, readonly label: 0 | 1 }

const toPairs = (rows: readonly PairRow[]): Examples => ({
  kind: 'pairs',
  pairs: rows.map(({ prompt, chosen, rejected }): Pair =>
    ({ messages: [{ role: 'user', content: prompt }], chosen, rejected }))
})

/**
 * Takes pairs in turn from every instruction until there are `count`, so that none dominates; equal prompts stay
 * together.
 */
function spread (rows: readonly PairRow[], count: number): PairRow[] {
  const byPrompt = new Map<string, PairRow[]>()
  for (const row of rows) byPrompt.set(row.prompt, [...byPrompt.get(row.prompt) ?? [], row])
  const taken = new Set<PairRow>()
  for (let round = 0; taken.size < Math.min(count, rows.length); round++) {
    for (const own of byPrompt.values()) {
      const row = own[round]
      if (row && taken.size < count) taken.add(row)
    }
  }
  return [...byPrompt.values()].flat().filter(row => taken.has(row))
}

/** Of the rewards called helpful: the head and the ensemble. */
export async function helpfulFit (data: string): Promise<FitData> {
  const train = spread(await readRows<PairRow>(data, 'helpfulness_pairs.train'), 1000)
  return {
    train: toPairs(train),
    test: toPairs(await readRows<PairRow>(data, 'helpfulness_pairs.test')),
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

/** What sentences are answers to. */
export const sentimentPrompts =
  JSON.parse(readFileSync(join(packageRoot, 'studies/rewards/sentiment-prompts.json'), 'utf8')) as string[]

/**
 * Texts of one of the data sets, as answers to prompts in turn, so that the head does not lean on one prompt.
 * @param most the first so many
 */
export async function sentimentTexts (data: string, name: string, most?: number): Promise<Labelled[]> {
  const rows = (await readRows<TextRow>(data, name)).slice(0, most)
  const labelled = rows.map(({ text, label }, index): Labelled => ({
    messages: [{ role: 'user', content: sentimentPrompts[index % sentimentPrompts.length]! }], answer: tidy(text), label
  }))
  const promptOf = ({ messages: [first] }: Labelled): string => first!.content
  return labelled.sort((a, b) => promptOf(a) < promptOf(b) ? -1 : Number(promptOf(a) > promptOf(b)))
}

/** Of the reward called positive. */
export async function positiveFit (data: string): Promise<FitData> {
  const train = await sentimentTexts(data, 'sentiment_sentences.train', 3000)
  return {
    train: { kind: 'labels', labelled: train },
    test: { kind: 'labels', labelled: await sentimentTexts(data, 'sentiment_sentences.test') },
    data: {
      name: `${train.length} of the sentences of sentiment_sentences.train, sentence polarity data set v1.0 (Pang ` +
        'and Lee, 2005)',
      licence: 'CC BY 4.0'
    },
    pooling: 'mean',
    prefixes: true
  }
}

/**
 * Sentences of the training set that are kept back to choose the epoch by, about one in twenty: the same ones every
 * time.
 */
const isKeptBack = ({ text }: TextRow): boolean => createHash('sha256').update(text).digest()[0]! < 13

/** Sentences about films in ordinary spelling, by whether they are trained on. */
export interface ToneData {
  readonly train: readonly TextRow[]
  readonly keptBack: readonly TextRow[]
  readonly test: readonly TextRow[]
  /** Reviews that nothing is trained on. The training reviews stay untouched: the judge is fitted on them. */
  readonly reviews: readonly TextRow[]
}

/** Of the small reward models of our own (`*_reader`). */
export async function toneData (data: string): Promise<ToneData> {
  const spelled = (rows: readonly TextRow[]): TextRow[] => rows.map(({ text, label }) => ({ text: tidy(text), label }))
  const rows = await readRows<TextRow>(data, 'sentiment_sentences.train')
  return {
    train: spelled(rows.filter(row => !isKeptBack(row))),
    keptBack: spelled(rows.filter(isKeptBack)),
    test: spelled(await readRows<TextRow>(data, 'sentiment_sentences.test')),
    reviews: spelled(await readRows<TextRow>(data, 'sentiment_reviews.test'))
  }
}
