/** What the reward models of our own (`*_reader`) are trained and tested on, as their template shows it. */
import { createHash } from 'node:crypto'
import { readRows } from './setup.js'
import { tidy } from './tidy.js'

export interface Text { readonly text: string, readonly label: 0 | 1 }

/**
 * The whole of what a reader of tone sees: the answer as the assistant's turn. Its prompt says nothing of the tone, and
 * leaving it out halves the cost.
 */
export const answerTemplate = '{{ \'<|im_start|>assistant\n\' + messages[-1][\'content\'] + \'<|im_end|>\' }}'

/**
 * Sentences of the training set that are kept back to choose the epoch by, about one in twenty: the same ones every
 * time.
 */
const isKeptBack = ({ text }: Text): boolean => createHash('sha256').update(text).digest()[0]! < 13

const spelled = (rows: readonly Text[]): Text[] => rows.map(({ text, label }) => ({ text: tidy(text), label }))

export interface ToneData {
  readonly train: readonly Text[],
  readonly keptBack: readonly Text[],
  readonly test: readonly Text[],
  readonly reviews: readonly Text[]
}

/**
 * Sentences about films, and reviews that nothing is trained on. The training reviews stay untouched: the judge of
 * evaluations is fitted on them.
 */
export async function toneData (data: string): Promise<ToneData> {
  const rows = await readRows<Text>(data, 'sentiment_sentences.train')
  return {
    train: spelled(rows.filter(row => !isKeptBack(row))),
    keptBack: spelled(rows.filter(isKeptBack)),
    test: spelled(await readRows<Text>(data, 'sentiment_sentences.test')),
    reviews: spelled(await readRows<Text>(data, 'sentiment_reviews.test'))
  }
}
