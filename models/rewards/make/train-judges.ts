/**
 * Makes the judges of evaluations (models/evaluation/judges): TF-IDF and logistic regression, on data that the rewards
 * they judge were not fitted on.
 *
 *   node dist/models/rewards/make/train-judges.js --data DIR
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { judgesFolder } from '../../../src/evaluation/criteria.js'
import { clusteredMean, correctness } from '../../../src/statistics/metrics.js'
import { TextClassifier, type TextSample } from '../../../src/statistics/tfidf.js'
import { helpfulFit } from './helpful-data.js'
import { log, makeArguments, readRows } from './setup.js'

interface Labelled { readonly text: string, readonly label: 0 | 1 }
interface Pair { readonly prompt: string, readonly chosen: string, readonly rejected: string }

/** Samples, each with what it belongs together with. */
type Test = ReadonlyArray<TextSample & { readonly group: string }>

const maxTerms = 6000
/** Evaluated answers are short: the judge of instructions reads the beginning of each answer, as long as they are. */
const judgedCharacters = 600

const { data } = makeArguments()

async function make (name: string, train: readonly TextSample[], tests: Readonly<Record<string, Test>>): Promise<void> {
  const classifier = TextClassifier.fit(train)
  const cut = classifier.toData(maxTerms)
  await writeFile(join(judgesFolder, `${name}.json`),
    `{"intercept":${cut.intercept},"terms":[\n${cut.terms.map(term => JSON.stringify(term)).join(',\n')}\n]}\n`)
  for (const [test, samples] of Object.entries(tests)) {
    for (const [what, judge] of [['all terms', classifier],
      [`${maxTerms} terms`, TextClassifier.fromData(cut)]] as const) {
      const margins =
        samples.map(({ text, against }) => judge.score(text) - (against === null ? 0 : judge.score(against)))
      const { value, standardError } =
        clusteredMean(correctness(margins, samples.map(({ label }) => label)), samples.map(({ group }) => group))
      log(`${name} on ${test}, ${what}: accuracy ${value.toFixed(4)} ± ${standardError.toFixed(4)}, margins above 0 ` +
        `${(margins.filter(margin => margin > 0).length / margins.length).toFixed(3)}, ${samples.length} samples`)
    }
  }
}

async function labelled (file: string): Promise<Test> {
  return (await readRows<Labelled>(data, file))
    .map(({ text, label }) => ({ text, against: null, label: label === 1 ? 1 : -1, group: text }))
}

const cutText = (text: string): string => text.slice(0, judgedCharacters)

function paired (rows: readonly Pair[]): Test {
  return rows.map(({ prompt, chosen, rejected }) => ({
    text: cutText(chosen), against: cutText(rejected), label: 1, group: prompt
  }))
}

await make('sentiment', await labelled('sentiment_reviews.train'), {
  'sentiment_reviews.test': await labelled('sentiment_reviews.test'),
  'sentiment_sentences.test': await labelled('sentiment_sentences.test')
})

const { train } = await helpfulFit(data)
const seen = new Set(train.kind === 'pairs' ? train.pairs.flatMap(({ chosen, rejected }) => [chosen, rejected]) : [])
const unseen = (await readRows<Pair>(data, 'helpfulness_pairs.train')).filter(({ chosen, rejected }) =>
  !seen.has(chosen) && !seen.has(rejected))
log(`instructions: ${unseen.length} pairs of ${new Set(unseen.map(({ prompt }) => prompt)).size} instructions, none ` +
  'of whose answers helpful was fitted on')
await make('instructions', paired(unseen),
  { 'helpfulness_pairs.test': paired(await readRows<Pair>(data, 'helpfulness_pairs.test')) })
