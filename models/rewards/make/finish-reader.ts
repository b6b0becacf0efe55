/**
 * Last step of making positive_reader: measures it through the product and writes descriptor and card.
 *
 *   node dist/models/rewards/make/finish-reader.js --data DIR --texts FILE.json [--threads N]
 *
 * FILE.json is what train-reader.py wrote: which of the training texts it used, for the controls.
 */
import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { loadConfig } from '../../../src/config.js'
import { Engine } from '../../../src/engine/engine.js'
import { loadServedModel } from '../../../src/serving/served-models.js'
import { measureStatistics } from '../../../src/serving/standardize-reward.js'
import { encodeChat } from '../../../src/models/tokenizer/chat-template.js'
import { loadModel, type LoadedModel } from '../../../src/models/model.js'
import { packageRoot } from '../../../src/package-root.js'
import type { ClassifierDescriptor } from '../../../src/rewards/kinds/classifier.js'
import type { Naming } from '../../../src/rewards/descriptor.js'
import { evaluateScore, type StateSet } from '../../../src/fitting/held-out-figures.js'
import { prefixLengths, type PrefixStates } from '../../../src/fitting/features.js'
import { areaUnderCurve, clusteredMean, rightness } from '../../../src/statistics/metrics.js'
import { answerTemplate, toneData, type Text } from './reader-data.js'
import { classifierCard } from './reader-card.js'
import { log, writeDescriptor } from './setup.js'

const name = 'positive_reader'
const layers = 15
/** Tokens of the template before the answer, and after it. */
const [before, after] = [3, 1]
/** Of the training texts, those whose states scale the random heads. */
const scaling = 200
const reviewTokens = 128

const { values: { data, texts, threads } } = parseArgs({
  options: {
    data: { type: 'string', default: '' },
    texts: { type: 'string', default: '' },
    threads: { type: 'string', default: '2' }
  }
})
const { cacheDir } = loadConfig({})
const folder = join(packageRoot, 'models/rewards', name)

/**
 * What the model says of each share of an answer: its score, last; of the whole answer, whose turn is closed, also the
 * state that it is made from. Texts are cut to `most` tokens.
 */
async function read (
  model: LoadedModel, engine: Engine, rows: readonly Text[], most = Infinity
): Promise<{ states: PrefixStates[], lengths: number[] }> {
  const states: PrefixStates[] = []
  const lengths: number[] = []
  let next = 0
  const work = async (): Promise<void> => {
    for (let at = next++; at < rows.length; at = next++) {
      const whole = encodeChat(model.chatTemplate, model.tokenizer, [{ role: 'assistant', content: rows[at]!.text }],
        { addGenerationPrompt: false }).tokens
      const answer = whole.slice(before, -after).slice(0, most)
      const tokens = [...whole.slice(0, before), ...answer, ...whole.slice(-after)]
      lengths[at] = answer.length
      const ends = prefixLengths(answer.length).map(length => before + length - 1)
      const scores: number[] = []
      const sequence = engine.open(tokens,
        { layers: [layers], fanOut: 5, onPosition: (position, { logits }) => { scores[position] = logits[0]! } })
      const output = await sequence.output()
      const own = ends.slice(0, -1).map(end => Float32Array.of(scores[end]!))
      own.push(Float32Array.of(...output.hidden(layers), output.distribution.logits[0]!))
      sequence.close()
      states[at] = own
      if (at % 100 === 0) log(`${at}/${rows.length} texts`)
    }
  }
  await Promise.all(Array.from({ length: 16 }, work))
  return { states, lengths }
}

const setOf = (
  rows: readonly Text[], { states, lengths }: { states: PrefixStates[], lengths: number[] }
): StateSet => ({
  kind: 'labels',
  states,
  lengths,
  answers: rows.map(({ text }) => ({ messages: [], text })),
  samples: rows.map(({ text, label }, answer) => ({ answer, against: null, label: label === 1 ? 1 : -1, group: text }))
})

const all = await toneData(data)
const train = (JSON.parse(await readFile(texts, 'utf8')) as number[]).map(index => all.train[index]!)
const model = await loadModel({
  model: 'smollm2-135m',
  variant: { layers, adapter: folder },
  template: answerTemplate,
  format: 'q8',
  threads: Number(threads),
  cacheDir,
  contextLength: 1024,
  onProgress: log
})
const engine = new Engine(model, {
  joinsChunks: true,
  contextLength: 1024,
  maxSequences: 64,
  kvCacheBytes: 2 ** 30,
  prefixCacheBytes: 0,
  prefillTokensPerStep: 256
})
const scoreOf = (state: Float32Array): number => state.at(-1)!
const scales = await read(model, engine, train.slice(0, scaling))
const lengths = train.map(({ text }) => model.tokenizer.encode(text).length)
const metrics = evaluateScore(scoreOf, { ...setOf(train, { states: scales.states, lengths }) },
  setOf(all.test, await read(model, engine, all.test)), `${all.test.length} texts of a separate test set`, true)
log(JSON.stringify(metrics))
const reviews = await read(model, engine, all.reviews, reviewTokens)
const [scores, labels] = [reviews.states.map(states => scoreOf(states.at(-1)!)),
  all.reviews.map(({ label }) => label === 1 ? 1 : -1)]
const elsewhere = clusteredMean(rightness(scores, labels), all.reviews.map(({ text }) => text))
const { sha256 } = model
await engine.close()
model.dispose()

const none = { normalization: { mean: 0, std: 1, pool: 'not measured yet' } }
const descriptor: Naming & ClassifierDescriptor = {
  name,
  description: 'Approving tone, by a small reward model of its own that reads the answer: more exact than positive ' +
    'on single sentences, less so on long reviews, and not free. A weight of −1 asks for criticism.',
  kind: 'classifier',
  model: 'smollm2-135m',
  layers,
  adapter: name,
  format: 'q8',
  template: answerTemplate,
  sha256,
  members: { outcome: none, prefix: none },
  fit: {
    objective: 'logistic',
    data: `${train.length} of the sentences of sentiment_sentences.train, sentence polarity data set v1.0 (Pang and ` +
      'Lee, 2005)',
    licence: 'CC BY 4.0',
    examples: train.length,
    regularization: 0,
    maxAnswerTokens: 256,
    cutAnswers: 0
  },
  metrics
}
await writeDescriptor(descriptor)
const host = await loadServedModel(loadConfig({ threads }), log)
try {
  const members = await measureStatistics(host, host.rewards.find(reward => reward.name === name)!, log,
    new AbortController().signal)
  const finished = { ...descriptor, members }
  const file = await writeDescriptor(finished)
  const { size } = await stat(join(folder, 'adapter_model.safetensors'))
  await writeFile(file.replace(/json$/, 'md'), classifierCard(finished, {
    sizeBytes: size,
    reviews: { ...elsewhere, auc: areaUnderCurve(scores, labels), count: reviews.states.length, tokens: reviewTokens }
  }))
} finally {
  await host.close()
}
