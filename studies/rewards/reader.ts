/**
 * positive_reader, a small reward model of our own, but for its training (train-reader.py): before that, the training
 * texts as tokens by the product's own tokenizer and template; after it, measured through the product, descriptor and
 * card.
 */
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { say } from '../../src/cli/command.js'
import { requiredOption } from '../../src/cli/options.js'
import { loadConfig } from '../../src/config.js'
import type { Engine } from '../../src/engine/engine.js'
import { prefixLengths, type PrefixStates } from '../../src/fitting/features.js'
import { evaluateScore, type StateSet } from '../../src/fitting/held-out-figures.js'
import { openCheckpoint } from '../../src/models/formats/checkpoint.js'
import type { ModelFacts } from '../../src/models/model.js'
import { resolveModel } from '../../src/models/store/model-store.js'
import { encodeChat } from '../../src/models/tokenizer/chat-template.js'
import type { Naming } from '../../src/rewards/descriptor.js'
import type { RewardMetrics } from '../../src/rewards/descriptor-parts.js'
import type { ClassifierDescriptor } from '../../src/rewards/kinds/classifier.js'
import { loadServedModel } from '../../src/serving/served-models.js'
import { measureStatistics } from '../../src/serving/standardize-reward.js'
import type { Arguments } from '../../tools/program.js'
import { withRuntime } from '../setup.js'
import { classifierCard, reviewsLine } from './card.js'
import { toneData, type TextRow } from './data.js'
import { rewardFile, writeDescriptor } from './descriptors.js'

const name = 'positive_reader'
const layers = 15
/** Tokens of the template before the answer, and after it. */
const [before, after] = [3, 1]
/** Of the training texts, those whose states scale the random heads. */
const scaling = 200
const reviewTokens = 128

/**
 * The whole of what a reader of tone sees: the answer as the assistant's turn. Its prompt says nothing of the tone, and
 * leaving it out halves the cost.
 */
const template = '{{ \'<|im_start|>assistant\n\' + messages[-1][\'content\'] + \'<|im_end|>\' }}'

const encode = ({ chatTemplate, tokenizer }: Pick<ModelFacts, 'chatTemplate' | 'tokenizer'>, text: string): number[] =>
  encodeChat(chatTemplate, tokenizer, [{ role: 'assistant', content: text }], { addGenerationPrompt: false }).tokens

/** Writes what train-reader.py reads. */
export async function writeReaderTexts (args: Arguments): Promise<void> {
  const out = requiredOption(args.values, 'out')
  const { path } = await resolveModel(args.text('model'), { cacheDir: loadConfig().cacheDir, onProgress: say })
  const { file, ...model } = await openCheckpoint(path, { source: template, toolSource: null })
  await file.close()
  const encoded = (texts: readonly TextRow[]): object[] =>
    texts.map(({ text, label }) => ({ label, tokens: encode(model, text) }))
  const { train, keptBack } = await toneData(args.text('data'))
  writeFileSync(out, JSON.stringify({ base: path, train: encoded(train), keptBack: encoded(keptBack) }))
  say(`${train.length} texts to train on and ${keptBack.length} kept back, in ${out}`)
}

type Read = Pick<StateSet, 'states' | 'lengths'>

/**
 * What the model says of each share of an answer: its score, last; of the whole answer, whose turn is closed, also the
 * state that it is made from. Texts are cut to `most` tokens.
 */
async function read (model: ModelFacts, engine: Engine, rows: readonly TextRow[], most = Infinity): Promise<Read> {
  const states: PrefixStates[] = []
  const lengths: number[] = []
  let next = 0
  const work = async (): Promise<void> => {
    for (let at = next++; at < rows.length; at = next++) {
      const whole = encode(model, rows[at]!.text)
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
      if (at % 100 === 0) say(`${at}/${rows.length} texts`)
    }
  }
  await Promise.all(Array.from({ length: 16 }, work))
  return { states, lengths }
}

const setOf = (rows: readonly TextRow[], own: Read): StateSet => ({
  kind: 'labels',
  ...own,
  answers: rows.map(({ text }) => ({ messages: [], text })),
  samples: rows.map(({ text, label }, answer) => ({ answer, against: null, label: label === 1 ? 1 : -1, group: text }))
})

const scoreOf = (state: Float32Array): number => state.at(-1)!

/** @param texts which of the training texts were used, for the controls */
async function measure (
  data: string, texts: readonly number[], threads: string
): Promise<{ metrics: RewardMetrics, sha256: string, reviews: string, examples: number }> {
  const all = await toneData(data)
  const train = texts.map(index => all.train[index]!)
  return withRuntime({
    model: 'smollm2-135m',
    variant: { layers, adapter: rewardFile(name) },
    template,
    format: 'q8',
    threads: Number(threads),
    cacheDir: loadConfig().cacheDir,
    onProgress: say
  }, { joinsChunks: true, kvCacheBytes: 2 ** 30 }, async ({ engine, model }) => {
    const { states } = await read(model, engine, train.slice(0, scaling))
    const lengths = train.map(({ text }) => model.tokenizer.encode(text).length)
    const metrics = evaluateScore(scoreOf, setOf(train, { states, lengths }),
      setOf(all.test, await read(model, engine, all.test)), `${all.test.length} texts of a separate test set`, true)
    say(JSON.stringify(metrics))
    const reviews = await read(model, engine, all.reviews, reviewTokens)
    const scored = all.reviews.map((row, index) => ({ ...row, score: scoreOf(reviews.states[index]!.at(-1)!) }))
    return {
      metrics, sha256: model.sha256, reviews: reviewsLine(scored, reviewTokens), examples: train.length
    }
  })
}

/** Measures what train-reader.py made and writes descriptor and card. */
export async function finishReader (args: Arguments): Promise<void> {
  const texts = JSON.parse(readFileSync(requiredOption(args.values, 'texts'), 'utf8')) as number[]
  const threads = args.text('threads')
  const { metrics, sha256, reviews, examples } = await measure(args.text('data'), texts, threads)
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
    template,
    sha256,
    members: { outcome: none, prefix: none },
    fit: {
      objective: 'logistic',
      data: `${examples} of the sentences of sentiment_sentences.train, sentence polarity data set v1.0 (Pang and ` +
        'Lee, 2005)',
      licence: 'CC BY 4.0',
      examples,
      regularization: 0,
      maxAnswerTokens: 256,
      cutAnswers: 0
    },
    metrics
  }
  writeDescriptor(descriptor)
  const served = await loadServedModel(loadConfig({ threads }), say)
  try {
    const reward = served.rewards.find(reward => reward.name === name)!
    const members = await measureStatistics(served, reward, say, new AbortController().signal)
    const finished = { ...descriptor, members }
    writeDescriptor(finished)
    const { size } = statSync(join(rewardFile(name), 'adapter_model.safetensors'))
    writeFileSync(rewardFile(`${name}.md`), classifierCard(finished, size, [reviews]))
  } finally {
    await served.close()
  }
}
