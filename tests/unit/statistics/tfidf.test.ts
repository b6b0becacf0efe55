import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { packageRoot } from '../../../src/package-root.js'
import { terms, TextClassifier, TfidfVectorizer } from '../../../src/statistics/tfidf.js'

/** Made with scikit-learn: TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2). */
const { tfidf } = JSON.parse(readFileSync(join(packageRoot, 'tests/fixtures/rewards-fit.json'),
  'utf8')) as { tfidf: { texts: string[], vectors: Array<Record<string, number>> } }

test('terms are words and their pairs, in lower case', () => {
  assert.deepEqual(terms("It's a GREAT film!"), ["it's", 'great', 'film', "it's great", 'great film'])
  assert.deepEqual(terms('!'), [])
})

test('vectors equal scikit-learn’s', () => {
  const vectorizer = TfidfVectorizer.fit(tfidf.texts)
  const names = [...vectorizer.vocabulary.keys()]
  for (const [index, text] of tfidf.texts.entries()) {
    const { indices, values } = vectorizer.transform(text)
    const vector = Object.fromEntries([...indices].map((term, at) => [names[term]!, values[at]!]))
    assert.deepEqual(Object.keys(vector).sort(), Object.keys(tfidf.vectors[index]!).sort())
    for (const [term, value] of Object.entries(tfidf.vectors[index]!)) {
      assert.ok(Math.abs(vector[term]! - value) < 1e-12)
    }
  }
})

const labelled = ['good fine film', 'good nice film', 'bad poor film', 'bad sad film']
  .map((text, index) => ({ text, against: null, label: index < 2 ? 1 as const : -1 as const }))

test('a classifier learns labels, and is the same after a trip through data', () => {
  const classifier = TextClassifier.fit(labelled)
  assert.ok(classifier.probability('a good one') > 0.5)
  assert.ok(classifier.probability('a bad one') < 0.5)
  const copy = TextClassifier.fromData(classifier.toData(100))
  assert.ok(Math.abs(copy.score('a bad film') - classifier.score('a bad film')) < 1e-3)
  assert.equal(classifier.toData(2).terms.length, 2)
})

test('a classifier learns pairs', () => {
  const classifier = TextClassifier.fit([{ text: 'good film', against: 'bad film', label: 1 },
    { text: 'good book', against: 'bad book', label: 1 }])
  assert.ok(classifier.score('good work') > classifier.score('bad work'))
})
