/**
 * ONNX classifiers on a tiny generated graph: the mean of its tokens' embeddings, so that every number can be worked
 * out by hand.
 */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import {
  loadOnnxClassifier, type OnnxClassifier, type OnnxClassifierOptions
} from '../../src/models/onnx-classifier.js'
import { RequestError } from '../../src/errors.js'
import { packageRoot } from '../../src/package-root.js'
import { GraphWriter } from '../../src/runtime/graph.js'
import { closedAfter } from '../helpers/closed-after.js'
import { tinyServer, type TinyServer } from '../helpers/tiny-server.js'

const folder = mkdtempSync(join(tmpdir(), 'fairlead-onnx-'))
after(() => { rmSync(folder, { recursive: true }) })

const vocabulary = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', 'the', 'wind', 'sea', 'rest', '##s', '数', '🙂', 'a', '.']
/** What each token adds to each of two labels. The padding token's would be seen at once. */
const weight = (token: number, label: number): number => token === 0 ? 1000 : Math.sin(7 * token + label)

const tableOf = (labels: number): number[] =>
  vocabulary.flatMap((_, token) => Array.from({ length: labels }, (_, label) => weight(token, label)))

/**
 * input_ids, attention_mask, token_type_ids → mean embedding over what the mask shows; tokens of the second text count
 * twice.
 */
function meanGraph (
  { labels = 2, output = 'logits', extra = [] as string[], outside = false } = {}
): Uint8Array {
  const graph = new GraphWriter()
  for (const name of ['input_ids', 'attention_mask', 'token_type_ids', ...extra]) {
    graph.input(name, 'int64', ['batch', 'length'])
  }
  if (outside) graph.external('table', 'float32', [vocabulary.length, labels])
  else graph.constant('table', 'float32', [vocabulary.length, labels], tableOf(labels))
  graph.constant('one', 'float32', [], [1])
  graph.constant('last', 'int64', [1], [-1])
  graph.constant('middle', 'int64', [1], [1])
  graph.node('Cast', ['attention_mask'], ['mask'], { to: 1 })
  graph.node('Cast', ['token_type_ids'], ['types'], { to: 1 })
  graph.node('Mul', ['mask', graph.node('Add', ['types', 'one'], ['doubled'])], ['counts'])
  graph.node('Mul', [graph.node('Gather', ['table', 'input_ids'], ['embedded'], { axis: 0 }),
    graph.node('Unsqueeze', ['counts', 'last'], ['column'])], ['weighted'])
  graph.node('Div', [graph.node('ReduceSum', ['weighted', 'middle'], ['sum'], { keepdims: 0 }),
    graph.node('ReduceSum', ['mask', 'middle'], ['length_'], { keepdims: 1 })], [output])
  graph.output(output, 'float32', ['batch', labels])
  return graph.finish()
}

const special = (content: string) => ({
  id: vocabulary.indexOf(content),
  content,
  single_word: false,
  lstrip: false,
  rstrip: false,
  normalized: false,
  special: true
})
const token = (content: string, type: number) => ({ SpecialToken: { id: content, type_id: type } })
const sequence = (id: string, type: number) => ({ Sequence: { id, type_id: type } })
const tokenizerJson = {
  version: '1.0',
  added_tokens: ['[PAD]', '[UNK]', '[CLS]', '[SEP]'].map(special),
  normalizer: {
    type: 'BertNormalizer', clean_text: true, handle_chinese_chars: true, strip_accents: null, lowercase: true
  },
  pre_tokenizer: { type: 'BertPreTokenizer' },
  post_processor: {
    type: 'TemplateProcessing',
    single: [token('[CLS]', 0), sequence('A', 0), token('[SEP]', 0)],
    pair: [token('[CLS]', 0), sequence('A', 0), token('[SEP]', 0), sequence('B', 1), token('[SEP]', 1)],
    special_tokens: {
      '[CLS]': { id: '[CLS]', ids: [2], tokens: ['[CLS]'] }, '[SEP]': { id: '[SEP]', ids: [3], tokens: ['[SEP]'] }
    }
  },
  decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
  model: {
    type: 'WordPiece',
    unk_token: '[UNK]',
    continuing_subword_prefix: '##',
    max_input_chars_per_word: 100,
    vocab: Object.fromEntries(vocabulary.map((text, id) => [text, id]))
  }
}

/** Writes a classifier's folder. */
function write (name: string, {
  graph = meanGraph(), config = { id2label: { 0: 'calm', 1: 'storm' } } as object, tokenizer = tokenizerJson as object,
  at = '', tokenizerConfig = { pad_token: '[PAD]', model_max_length: 16 } as object
} = {}): string {
  const path = join(folder, name)
  mkdirSync(join(path, at), { recursive: true })
  writeFileSync(join(path, at, 'model.onnx'), graph)
  writeFileSync(join(path, 'config.json'), JSON.stringify(config))
  writeFileSync(join(path, 'tokenizer.json'), JSON.stringify(tokenizer))
  writeFileSync(join(path, 'tokenizer_config.json'), JSON.stringify(tokenizerConfig))
  return path
}

const load = (path: string, options: Partial<OnnxClassifierOptions> = {}): Promise<OnnxClassifier> =>
  loadOnnxClassifier(path, { threads: 1, inTurn: run => run(), ...options })
/** What the graph gives for tokens, by hand. */
const expected = (ids: readonly number[], types: readonly number[] = ids.map(() => 0)): number[] =>
  [0, 1].map(label => ids.reduce((sum, id, index) => sum + weight(id, label) * (1 + types[index]!), 0) / ids.length)
const near = (given: ArrayLike<number>, wanted: readonly number[]): void => {
  for (const [index, value] of wanted.entries()) {
    assert.ok(Math.abs(given[index]! - value) < 1e-5, `${given[index]} for ${value}`)
  }
}

test('texts of every length give in a padded batch what they give alone, in their order', async t => {
  const classifier = closedAfter(t, await load(write('mean', { at: 'onnx' })))
  const texts = ['The winds', 'sea', 'the the the the sea rest rest.', '', '数 🙂 the', 'qqq']
  const ids = [[2, 4, 5, 8, 3], [2, 6, 3], [2, 4, 4, 4, 4, 6, 7, 7, 12, 3], [2, 3], [2, 9, 10, 4, 3], [2, 1, 3]]
  const items = texts.map(text => classifier.encode({ text }))
  assert.deepEqual(items.map(item => item.ids), ids)
  const together = await classifier.classify([...items, ...Array.from({ length: 70 }, () => items[2]!)])
  for (const [index, one] of ids.entries()) {
    near(together[index]!, expected(one))
    near((await classifier.classify([items[index]!]))[0]!, expected(one))
  }
  near(together.at(-1)!, expected(ids[2]!))
})

test('a pair is read with its types, and text that looks like a special token is text', async t => {
  const classifier = closedAfter(t, await load(join(folder, 'mean')))
  const pair = classifier.encode({ text: 'the wind', pair: 'sea' })
  assert.deepEqual(pair, { ids: [2, 4, 5, 3, 6, 3], types: [0, 0, 0, 0, 1, 1] })
  near((await classifier.classify([pair]))[0]!, expected(pair.ids, pair.types))
  assert.deepEqual(classifier.encode({ text: '[SEP]' }).ids.filter(id => id === 3).length, 1)
})

test('a BERT as torch.onnx exports it gives transformers’ tokens and logits, alone and in a batch', async t => {
  // Written by scripts/expected-onnx.py.
  const fixture = join(packageRoot, 'tests/fixtures/tiny-bert')
  const expected = JSON.parse(readFileSync(join(fixture, 'expected.json'),
    'utf8')) as Array<{ text: string, pair: string | null, ids: number[], logits: number[] }>
  const classifier = closedAfter(t, await load(fixture))
  assert.deepEqual([classifier.labels, classifier.maxTokens], [3, 32])
  const items = expected.map(({ text, pair }) => classifier.encode({ text, ...(pair === null ? {} : { pair }) }))
  assert.deepEqual(items.map(item => item.ids), expected.map(({ ids }) => ids))
  const together = await classifier.classify(items)
  for (const [index, { logits }] of expected.entries()) {
    for (const given of [together[index]!, (await classifier.classify([items[index]!]))[0]!]) {
      for (const [label, logit] of logits.entries()) {
        assert.ok(Math.abs(given[label]! - logit) <= 1e-4, `${index}: ${given[label]}, transformers ${logit}`)
      }
    }
  }
})

/** A classifier whose table of weights lies in a file of its own, named in its graph. */
function writeOutside (name: string, location = 'shared', at = ''): string {
  const graph = Buffer.from(meanGraph({ outside: true }))
  graph.write(location, graph.indexOf('shared'))
  const path = write(name, { graph, at })
  writeFileSync(join(path, at, 'shared'), new Uint8Array(Float32Array.from(tableOf(2)).buffer))
  return path
}

test('weights in a file beside the graph are read from there, and are part of what the classifier is', async t => {
  for (const at of ['', 'onnx']) {
    const path = writeOutside(`outside-${at}`, 'shared', at)
    const classifier = closedAfter(t, await load(path))
    near((await classifier.classify([classifier.encode({ text: 'the wind' })]))[0]!, expected([2, 4, 5, 3]))
    assert.ok(classifier.weightBytes > 4 * 2 * vocabulary.length)
    writeFileSync(join(path, at, 'shared'), new Uint8Array(new Float32Array(2 * vocabulary.length).buffer))
    const other = closedAfter(t, await load(path))
    assert.notEqual(other.sha256, classifier.sha256)
    near((await other.classify([other.encode({ text: 'the wind' })]))[0]!, [0, 0])
  }
  const missing = writeOutside('missing')
  rmSync(join(missing, 'shared'))
  await assert.rejects(load(missing), /missing.*: its weights are in "shared", which is not beside it/)
  for (const location of ['../abc', '/tmp/x', './../a', '*/_ORT']) {
    await assert.rejects(load(writeOutside('elsewhere', location)), (error: unknown) => error instanceof RequestError &&
      error.param === 'model' && /its weights (must be in files in the graph's folder|are in)/.test(error.message))
  }
})

test('rows are filled up only where something is known that the graph takes for padding', async t => {
  const tokenizerConfig = { model_max_length: 16 }
  const classifier = closedAfter(t, await load(write('unpadded', { tokenizerConfig })))
  const items = ['sea', 'the wind', 'a', 'the sea'].map(text => classifier.encode({ text }))
  const before = classifier.tokens
  await classifier.classify(items)
  assert.equal(classifier.tokens - before, items.reduce((sum, { ids }) => sum + ids.length, 0))
  const config = { id2label: { 0: 'calm', 1: 'storm' }, pad_token_id: 0 }
  const padded = closedAfter(t, await load(write('configured', { tokenizerConfig, config })))
  const start = padded.tokens
  await padded.classify(items)
  assert.equal(padded.tokens - start, 4 * 4)
})

test('what the numbers are is what problem_type says', async t => {
  const kinds = {
    single_label_classification: 'exclusive',
    multi_label_classification: 'independent',
    regression: 'numbers'
  }
  for (const [type, kind] of Object.entries(kinds)) {
    const config = { id2label: { 0: 'calm', 1: 'storm' }, problem_type: type }
    assert.equal(closedAfter(t, await load(write(type, { config }))).scores, kind)
  }
  assert.equal(closedAfter(t, await load(join(folder, 'mean'))).scores, 'exclusive')
  await assert.rejects(load(write('ranking', { config: { problem_type: 'ranking', num_labels: 2 } })),
    /problem_type = "ranking" is not supported/)
})

test('what cannot be run is refused when it is loaded, by file and reason', async () => {
  await assert.rejects(load(write('inputs', { graph: meanGraph({ extra: ['pixels'] }) })),
    /inputs.*model.onnx: .*input_ids.*; it has .*pixels/)
  await assert.rejects(load(write('labels', { config: { id2label: { 0: 'a', 1: 'b', 2: 'c' } } })),
    /3 numbers/)
  await assert.rejects(load(write('silent', { config: {} })),
    /id2label.*labels/)
  ;(await load(join(folder, 'silent'), { labels: 2 })).dispose()
  await assert.rejects(load(write('damaged', { graph: Buffer.from('nonsense') })), /damaged.*graph/)
  await assert.rejects(load(write('tokens', { tokenizer: { model: { type: 'Nothing' } } })),
    /tokenizer.json/)
  mkdirSync(join(folder, 'empty'))
  await assert.rejects(load(join(folder, 'empty')), /it has no model.onnx and no onnx\/model.onnx/)
  await assert.rejects(load(join(folder, 'empty', 'model.onnx')), /it has no tokenizer.json/)
})

let server: TinyServer
before(async () => {
  write('mean', { at: 'onnx' })
  write('multi_label_classification',
    { config: { id2label: { 0: 'calm', 1: 'storm' }, problem_type: 'multi_label_classification' } })
  const rewards = join(folder, 'rewards')
  mkdirSync(rewards)
  const normalization = { mean: 0, std: 1, pool: 'none' }
  const base = {
    kind: 'onnx',
    description: 'x',
    model: '../mean',
    label: 1,
    members: { outcome: { normalization }, prefix: { normalization } }
  }
  for (const [name, more] of Object.entries({
    storm: {},
    several: { model: '../multi_label_classification' },
    gale: { classes: 'independent' },
    relevance: { reads: 'pair', classes: 'independent' }
  })) writeFileSync(join(rewards, `${name}.json`), JSON.stringify({ name, ...base, ...more }))
  server = await tinyServer({ rewardsDir: rewards, format: 'f32' })
})
after(async () => { await server.close() })

const score = async (reward: string, answer: string): Promise<{ status: number, json: Record<string, any> }> =>
  server.post('/v1/rewards/score', { reward, input: [{ prompt: 'sea', answer }] })

test('answers are scored and guided by it, its tokens are counted, and nothing is cut off', async () => {
  const ids = [2, 4, 5, 3]
  const [calm, storm] = expected(ids) as [number, number]
  const { json } = await score('storm', 'the wind')
  near([json['data'][0].rewards.storm.raw], [storm - calm])
  assert.equal(json['usage'].computed_tokens, 4)
  near([(await score('several', 'the wind')).json['data'][0].rewards.several.raw], [storm])
  near([(await score('gale', 'the wind')).json['data'][0].rewards.gale.raw], [storm])
  near([(await score('relevance', 'wind')).json['data'][0].rewards.relevance.raw],
    [expected([2, 6, 3, 5, 3], [0, 0, 0, 1, 1])[1]!])
  const long = await score('storm', 'the wind '.repeat(10))
  assert.equal(long.status, 400)
  assert.equal(long.json['error'].code, 'context_length_exceeded')
  assert.match(long.json['error'].message, /16 tokens; this text has 22/)
  const { status, json: guided } = await server.post('/v1/chat/completions', {
    model: 'tiny',
    messages: [{ role: 'user', content: 'say' }],
    max_tokens: 4,
    seed: 1,
    alignment: { strategy: 'best_of_n', num_candidates: 4, reward: 'storm' }
  })
  assert.equal(status, 200)
  assert.ok(guided['usage'].alignment_details.reward_tokens >= 8)
})
