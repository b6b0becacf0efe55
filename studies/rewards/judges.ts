/**
 * The judges of evaluations (models/evaluation/judges): TF-IDF and logistic regression, on data that the rewards they
 * judge were not fitted on.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { say } from '../../src/cli/command.js'
import { judgesFolder } from '../../src/evaluation/criteria.js'
import { clusteredMean, correctness } from '../../src/statistics/metrics.js'
import { TextClassifier, type TextSample } from '../../src/statistics/tfidf.js'
import { readRows } from '../setup.js'
import { helpfulFit, type PairRow, type TextRow } from './data.js'

/** Samples, each with what it belongs together with. */
type Test = ReadonlyArray<TextSample & { readonly group: string }>

const maxTerms = 6000
/** Evaluated answers are short: the judge of instructions reads the beginning of each answer, as long as they are. */
const judgedCharacters = 600

function make (name: string, train: readonly TextSample[], tests: Readonly<Record<string, Test>>): void {
  const classifier = TextClassifier.fit(train)
  const cut = classifier.toData(maxTerms)
  writeFileSync(join(judgesFolder, `${name}.json`),
    `{"intercept":${cut.intercept},"terms":[\n${cut.terms.map(term => JSON.stringify(term)).join(',\n')}\n]}\n`)
  for (const [test, samples] of Object.entries(tests)) {
    for (const [what, judge] of [['all terms', classifier],
      [`${maxTerms} terms`, TextClassifier.fromData(cut)]] as const) {
      const margins =
        samples.map(({ text, against }) => judge.score(text) - (against === null ? 0 : judge.score(against)))
      const { value, standardError } =
        clusteredMean(correctness(margins, samples.map(({ label }) => label)), samples.map(({ group }) => group))
      say(`${name} on ${test}, ${what}: accuracy ${value.toFixed(4)} ± ${standardError.toFixed(4)}, margins above 0 ` +
        `${(margins.filter(margin => margin > 0).length / margins.length).toFixed(3)}, ${samples.length} samples`)
    }
  }
}

/** @param data folder of the data sets */
export async function trainJudges (data: string): Promise<void> {
  const labelled = async (file: string): Promise<Test> => (await readRows<TextRow>(data, file))
    .map(({ text, label }) => ({ text, against: null, label: label === 1 ? 1 : -1, group: text }))
  make('sentiment', await labelled('sentiment_reviews.train'), {
    'sentiment_reviews.test': await labelled('sentiment_reviews.test'),
    'sentiment_sentences.test': await labelled('sentiment_sentences.test')
  })

  const cut = (text: string): string => text.slice(0, judgedCharacters)
  const paired = (rows: readonly PairRow[]): Test => rows.map(({ prompt, chosen, rejected }) =>
    ({ text: cut(chosen), against: cut(rejected), label: 1, group: prompt }))
  const { train } = await helpfulFit(data)
  const seen = new Set(train.kind === 'pairs' ? train.pairs.flatMap(({ chosen, rejected }) => [chosen, rejected]) : [])
  const unseen = (await readRows<PairRow>(data, 'helpfulness_pairs.train')).filter(({ chosen, rejected }) =>
    !seen.has(chosen) && !seen.has(rejected))
  say(`instructions: ${unseen.length} pairs of ${new Set(unseen.map(({ prompt }) => prompt)).size} ` +
    'instructions, none ' +
    'of whose answers helpful was fitted on')
  make('instructions', paired(unseen),
    { 'helpfulness_pairs.test': paired(await readRows<PairRow>(data, 'helpfulness_pairs.test')) })
}
