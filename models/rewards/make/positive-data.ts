/** What the rewards called positive are fitted and tested on. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { packageRoot } from '../../../src/package-root.js'
import type { Examples, Labelled } from '../../../src/fitting/examples.js'
import { readRows } from './setup.js'
import { tidy } from './tidy.js'

interface Row { readonly text: string, readonly label: 0 | 1 }
const trainSentences = 3000

/** What sentences are answers to. */
export const sentimentPrompts =
  JSON.parse(await readFile(join(packageRoot, 'models/rewards/make/sentiment-prompts.json'), 'utf8')) as string[]

/** Texts as answers to prompts in turn, so that the head does not lean on one prompt. */
function toLabelled (rows: readonly Row[]): Labelled[] {
  return rows.map(({ text, label }, index) => ({
    messages: [{ role: 'user', content: sentimentPrompts[index % sentimentPrompts.length]! }], answer: tidy(text), label
  }))
    .sort((a, b) =>
      a.messages[0]!.content < b.messages[0]!.content ? -1 : a.messages[0]!.content > b.messages[0]!.content ? 1 : 0)
}

/** Texts of one of the data sets, as answers. @param most the first so many */
export async function sentimentTexts (data: string, name: string, most?: number): Promise<Labelled[]> {
  return toLabelled((await readRows<Row>(data, name)).slice(0, most))
}

/** Everything of a fit but its layers. */
export async function positiveFit (data: string): Promise<{
  train: Examples, test: Examples, data: { name: string, licence: string }, pooling: 'mean', prefixes: true
}> {
  const train = await sentimentTexts(data, 'sentiment_sentences.train', trainSentences)
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
