/**
 * An ONNX text classifier or cross-encoder as exporters write them: a graph, tokenizer.json and config.json. Reads
 * whole texts, padded to batches; knows no rewards and keeps nothing between calls.
 */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { Session } from '../runtime/session.js'
import { Tensor } from '../runtime/tensor.js'
import { readWhole } from './formats/binary-files.js'
import { refusalOf, refuseModel } from './formats/decoder-tensors.js'
import type { ScoreKind } from './decoder-config.js'
import { padTokenOf, scoreKindOf } from './formats/hugging-face-config.js'
import { exists, readJson, readJsonIfThere, type Fields } from './formats/json-files.js'
import { externalDataFiles } from './onnx-external-data.js'
import { textEncoder, type EncodedText, type TextEncoder } from './tokenizer/text-encoder.js'

/** A text, or a pair: what a cross-encoder reads together. */
export interface TextItem { readonly text: string, readonly pair?: string }

export interface OnnxClassifier {
  /** Name of its graph's folder or file. */
  readonly id: string
  /** Of the graph's file and those that hold its weights. */
  readonly weightBytes: number
  /** Tokens run through it, padding included. */
  readonly tokens: number
  /** Of graph, weights and tokenizer. */
  readonly sha256: string
  /** Numbers that the model gives for a text. */
  readonly labels: number
  /** What they are. */
  readonly scores: ScoreKind
  /** Longest text or pair, tokens, special ones included. */
  readonly maxTokens: number
  /** Tokens of an item. */
  encode (item: TextItem): EncodedText
  /** The model's numbers for each item, in order. */
  classify (items: readonly EncodedText[]): Promise<Float32Array[]>
  dispose (): void
}

export interface OnnxClassifierOptions {
  readonly threads: number
  /** In place of config.json's. */
  readonly labels?: number
  readonly maxTokens?: number
  /** Runs a forward pass when it is its turn. */
  readonly inTurn: <T>(run: () => Promise<T>) => Promise<T>
}

/** Rows of a batch, and their positions together, at most. */
const maxRows = 32
const maxPositions = 4096
/** What models read where their files do not say. */
const defaultMaxTokens = 512

/** The folder's graph, where exporters put it. @throws RequestError if there is none */
async function graphIn (folder: string): Promise<string> {
  for (const name of ['model.onnx', join('onnx', 'model.onnx')]) {
    if (await exists(join(folder, name))) return join(folder, name)
  }
  throw refuseModel({ path: folder }, 'it has no model.onnx and no onnx/model.onnx')
}

/** Largest graph: the format's own bound, bytes. */
const maxGraphBytes = 2 ** 31 - 1
/** Labels of a classifier, at most: its scores are kept for each. */
const maxLabels = 1 << 16

/** How many numbers a model gives: labels by name, or a count. */
function labelsOf (path: string, { id2label, num_labels: count }: Fields): number {
  const labels = typeof id2label === 'object' && id2label !== null ? Object.keys(id2label).length : count
  if (typeof labels === 'number' && Number.isInteger(labels) && labels >= 1 && labels <= maxLabels) return labels
  throw refuseModel({ path },
    `the number of labels must be from 1 to ${maxLabels}, by id2label in config.json or labels in the descriptor; got ` +
      JSON.stringify(labels))
}

/** The smallest limit in the files. A tokenizer without one has 10³⁰. */
function maxTokensOf (config: Fields, tokenizerConfig: Fields): number {
  // RoBERTa and its kin begin to count positions after the padding token's number.
  const positions = typeof config['max_position_embeddings'] === 'number'
    ? config['max_position_embeddings'] - (/roberta|camembert/.test(String(config['model_type'])) ? 2 : 0)
    : Infinity
  const limit = typeof tokenizerConfig['model_max_length'] === 'number' ? tokenizerConfig['model_max_length'] : Infinity
  const most = Math.min(positions, limit)
  return Number.isSafeInteger(most) && most < 1e9 ? most : defaultMaxTokens
}

/** Items in batches of about the same length, or of the same where rows cannot be filled up, each with its place. */
function batches (
  items: readonly EncodedText[], canPad: boolean
): Array<Array<{ readonly item: EncodedText, readonly place: number }>> {
  const sorted = items.map((item, place) => ({ item, place }))
    .sort((a, b) => a.item.ids.length - b.item.ids.length || a.place - b.place)
  const groups: Array<typeof sorted> = []
  for (const one of sorted) {
    const group = groups.at(-1)
    // Ascending: this one is the longest so far.
    const fits = group && group.length < maxRows && (group.length + 1) * one.item.ids.length <= maxPositions &&
      (canPad || group[0]!.item.ids.length === one.item.ids.length)
    if (fits) group.push(one)
    else groups.push([one])
  }
  return groups
}

const knownInputs = ['input_ids', 'attention_mask', 'token_type_ids', 'position_ids']

/**
 * What a graph takes and gives.
 * @throws RequestError for inputs that are not known, or no output that could be the scores
 */
function outputOf (path: string, { inputNames, outputNames }: Session): string {
  const foreign = inputNames.filter(name => !knownInputs.includes(name))
  if (foreign.length > 0 || !inputNames.includes('input_ids')) {
    throw refuseModel({ path }, 'its graph must have the input input_ids, and no others except ' +
      `${knownInputs.slice(1).join(', ')}; it has ${inputNames.join(', ')}`)
  }
  if (outputNames.includes('logits')) return 'logits'
  if (outputNames.length === 1) return outputNames[0]!
  throw refuseModel({ path }, `its graph must have one output, or one named logits; it has ${outputNames.join(', ')}`)
}

/** What its files say of a classifier. */
type Facts = Pick<OnnxClassifier, 'id' | 'weightBytes' | 'sha256' | 'labels' | 'scores' | 'maxTokens'> & {
  /** What rows are filled up with; null where nothing is known that the graph takes for padding. */
  readonly padToken: number | null
}

class Classifier implements OnnxClassifier {
  readonly id: string
  readonly weightBytes: number
  tokens = 0
  readonly sha256: string
  readonly labels: number
  readonly scores: ScoreKind
  readonly maxTokens: number
  readonly #padToken: number | null
  readonly #session: Session
  readonly #output: string
  readonly #encoder: TextEncoder
  readonly #inTurn: OnnxClassifierOptions['inTurn']

  constructor (
    session: Session, output: string, encoder: TextEncoder, facts: Facts, inTurn: OnnxClassifierOptions['inTurn']
  ) {
    this.id = facts.id
    this.weightBytes = facts.weightBytes
    this.sha256 = facts.sha256
    this.labels = facts.labels
    this.scores = facts.scores
    this.maxTokens = facts.maxTokens
    this.#padToken = facts.padToken
    this.#session = session
    this.#output = output
    this.#encoder = encoder
    this.#inTurn = inTurn
  }

  encode ({ text, pair }: TextItem): EncodedText { return this.#encoder.encode(text, pair) }

  async classify (items: readonly EncodedText[]): Promise<Float32Array[]> {
    const results = new Array<Float32Array>(items.length)
    for (const batch of batches(items, this.#padToken !== null)) {
      const scores = await this.#inTurn(() => this.#run(batch.map(({ item }) => item)))
      for (const [row, { place }] of batch.entries()) results[place] = scores[row]!
    }
    return results
  }

  async #run (rows: readonly EncodedText[]): Promise<Float32Array[]> {
    const length = Math.max(...rows.map(({ ids }) => ids.length))
    const filled = (value: (row: EncodedText, position: number) => number): Tensor =>
      Tensor.from('int64', [rows.length, length],
        BigInt64Array.from(rows.flatMap(row => Array.from({ length }, (_, position) => BigInt(value(row, position))))))
    const inputs: Readonly<Record<string, () => Tensor>> = {
      input_ids: () => filled(({ ids }, position) => ids[position] ?? this.#padToken!),
      attention_mask: () => filled(({ ids }, position) => position < ids.length ? 1 : 0),
      token_type_ids: () => filled(({ types }, position) => types[position] ?? 0),
      position_ids: () => filled((_, position) => position)
    }
    const feeds = new Map(this.#session.inputNames.map(name => [name, inputs[name]!()]))
    const output = Tensor.allocate('float32', [rows.length, this.labels])
    try {
      await this.#session.run(feeds, new Map([[this.#output, output]]))
      this.tokens += rows.length * length
      return rows.map((_, row) => (output.data as Float32Array).slice(row * this.labels, (row + 1) * this.labels))
    } finally {
      for (const tensor of [...feeds.values(), output]) tensor.dispose()
    }
  }

  dispose (): void { this.#session.dispose() }
}

/** Bytes of files. */
async function sizeOf (files: readonly string[]): Promise<number> {
  const sizes = await Promise.all(files.map(async file => (await stat(file)).size))
  return sizes.reduce((sum, size) => sum + size, 0)
}

/** Of a graph, its tokenizer and the files of its weights. */
async function sha256Of (graph: Uint8Array, tokenizer: Fields, files: readonly string[]): Promise<string> {
  const hash = createHash('sha256').update(graph).update(JSON.stringify(tokenizer))
  for (const file of files) {
    for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer)
  }
  return hash.digest('hex')
}

/**
 * Loads a classifier and has it read a word, so that a graph that gives something else than it should is refused now.
 * @param path of a folder with a graph, or of the graph; files that hold its weights lie beside it, tokenizer.json and
 * config.json beside it or in the folder above
 * @throws RequestError naming the file and what is wrong with it
 */
export async function loadOnnxClassifier (path: string, options: OnnxClassifierOptions): Promise<OnnxClassifier> {
  return await load(path, options).catch((error: unknown) => { throw refusalOf({ path }, error) })
}

async function load (path: string, options: OnnxClassifierOptions): Promise<OnnxClassifier> {
  const graph = path.endsWith('.onnx') ? path : await graphIn(path)
  const beside = dirname(graph)
  const folder = await exists(join(beside, 'tokenizer.json')) ? beside : dirname(beside)
  const [config, tokenizerConfig, tokenizer] = [await readJsonIfThere(folder, 'config.json'),
    await readJsonIfThere(folder, 'tokenizer_config.json'), await readJson(folder, 'tokenizer.json')]
  const encoder = textEncoder(folder, tokenizer, tokenizerConfig)
  const sizes = {
    labels: options.labels ?? labelsOf(folder, config),
    maxTokens: options.maxTokens ?? maxTokensOf(config, tokenizerConfig)
  }
  const scores = scoreKindOf(folder, config) ?? 'exclusive'
  // A graph that looks for padding has the configuration's number in it.
  const configured = padTokenOf(folder, config)
  const padToken = configured === null || configured < 0 ? encoder.padToken : configured
  const bytes = await readWhole(graph, maxGraphBytes).catch((error: Error) => {
    throw refuseModel({ path: graph }, `cannot read it: ${error.message}`)
  })
  const external = await externalDataFiles(graph, bytes)
  const sessionOptions = { threads: options.threads, foreignIntegers: true, weightsFolder: dirname(graph) }
  const session = await Session.create(bytes, sessionOptions).catch((error: unknown) => {
    throw refuseModel({ path: graph }, `cannot compile its graph: ${(error as Error).message}`)
  })
  try {
    const classifier = new Classifier(session, outputOf(graph, session), encoder, {
      ...sizes,
      scores,
      padToken,
      id: basename(path),
      weightBytes: await sizeOf([graph, ...external]),
      sha256: await sha256Of(bytes, tokenizer, external)
    }, options.inTurn)
    await classifier.classify([classifier.encode({ text: 'a' })]).catch((error: unknown) => {
      throw refuseModel({ path: graph },
        `a trial run did not return ${sizes.labels} numbers: ${(error as Error).message}`)
    })
    return classifier
  } catch (error) {
    session.dispose()
    throw error
  }
}
