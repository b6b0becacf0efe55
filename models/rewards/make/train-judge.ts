/**
 * Makes judge.json: TF-IDF and logistic regression on film reviews, none of which any reward was fitted on.
 *
 *   node dist/models/rewards/make/train-judge.js --data DIR
 */
import { writeFile } from 'node:fs/promises'
import { clusteredMean, rightness } from '../../../src/rewards/metrics.js'
import { TextClassifier } from '../../../src/rewards/tfidf.js'
import { judgeFile, loadJudge } from './judge.js'
import { log, makeArguments, readRows } from './setup.js'

interface Row { readonly text: string, readonly label: 0 | 1 }
const maxTerms = 6000

const { data } = makeArguments()
const train = await readRows<Row>(data, 'sentiment_reviews.train')
const classifier = TextClassifier.fit(train.map(({ text, label }) => ({ text, against: null, label: label === 1 ? 1 : -1 })))
const { intercept, terms } = classifier.toData(maxTerms)
await writeFile(judgeFile, `{"intercept":${intercept},"terms":[\n${terms.map(term => JSON.stringify(term)).join(',\n')}\n]}\n`)

for (const name of ['sentiment_reviews.test', 'sentiment_sentences.test']) {
  const rows = await readRows<Row>(data, name)
  for (const [what, judge] of [['all terms', classifier], [`${maxTerms} terms`, loadJudge()]] as const) {
    const margins = rows.map(row => judge.score(row.text))
    const { value, standardError } = clusteredMean(rightness(margins, rows.map(row => row.label === 1 ? 1 : -1)), rows.map(row => row.text))
    const positive = margins.filter(margin => margin > 0).length / margins.length
    log(`${name}, ${what}: accuracy ${value.toFixed(4)} ± ${standardError.toFixed(4)}, called positive ${positive.toFixed(3)}, ${rows.length} texts`)
  }
}
