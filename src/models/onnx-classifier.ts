/**
 * An ONNX text classifier or cross-encoder as exporters write them: a graph, tokenizer.json and config.json. Reads
 * whole texts, padded to batches; knows no rewards and keeps nothing between calls.
 */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { Session } from '../runtime/session.js'
import { Tensor } from '../runtime/tensor.js'
import { refuseModel } from './formats/decoder-tensors.js'
import { exists, readJson, readJsonIfThere, type Fields } from './formats/json-files.js'
import { textEncoder, type EncodedText, type TextEncoder } from './tokenizer/text-encoder.js'

/** A text, or a pair: what a cross-encoder reads together. */
export interface TextItem { readonly text: string, readonly pair?: string }

export interface OnnxClassifier {
  /** Name of its graph's folder or file. */
  readonly id: string
  /** Of the graph's file, which holds its weights. */
  readonly weightBytes: number
  /** Tokens run through it, padding included. */
  readonly tokens: number
  /** Of graph and tokenizer. */
  readonly sha256: string
  /** Numbers that the model gives for a text. */
  readonly labels: number
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

/** How many numbers a model gives: labels by name, or a count. */
function labelsOf (path: string, { id2label, num_labels: count }: Fields): number {
  const labels = typeof id2label === 'object' && id2label !== null ? Object.keys(id2label).length : count
  if (typeof labels === 'number' && Number.isInteger(labels) && labels >= 1) return labels
  throw refuseModel({ path },
    'the number of labels is unknown: set id2label in config.json or labels in the descriptor')
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

/** Items in batches of about the same length, each with its place. */
function batches (items: readonly EncodedText[]): Array<Array<{ readonly item: EncodedText, readonly place: number }>> {
  const sorted = items.map((item, place) => ({ item, place }))
    .sort((a, b) => a.item.ids.length - b.item.ids.length || a.place - b.place)
  const groups: Array<typeof sorted> = []
  for (const one of sorted) {
    const group = groups.at(-1)
    // Ascending: this one is the longest so far.
    if (group && group.length < maxRows && (group.length + 1) * one.item.ids.length <= maxPositions) group.push(one)
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

class Classifier implements OnnxClassifier {
  readonly id: string
  readonly weightBytes: number
  tokens = 0
  readonly sha256: string
  readonly labels: number
  readonly maxTokens: number
  readonly #session: Session
  readonly #output: string
  readonly #encoder: TextEncoder
  readonly #inTurn: OnnxClassifierOptions['inTurn']

  constructor (session: Session, output: string, encoder: TextEncoder, facts: {
    readonly id: string,
    readonly weightBytes: number,
    readonly sha256: string,
    readonly labels: number,
    readonly maxTokens: number
  }, inTurn: OnnxClassifierOptions['inTurn']) {
    this.id = facts.id
    this.weightBytes = facts.weightBytes
    this.sha256 = facts.sha256
    this.#session = session
    this.#output = output
    this.#encoder = encoder
    this.labels = facts.labels
    this.maxTokens = facts.maxTokens
    this.#inTurn = inTurn
  }

  encode ({ text, pair }: TextItem): EncodedText { return this.#encoder.encode(text, pair) }

  async classify (items: readonly EncodedText[]): Promise<Float32Array[]> {
    const results = new Array<Float32Array>(items.length)
    for (const batch of batches(items)) {
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
      input_ids: () => filled(({ ids }, position) => ids[position] ?? this.#encoder.padToken),
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

/**
 * Loads a classifier and has it read a word, so that a graph that gives something else than it should is refused now.
 * @param path of a folder with a graph, or of the graph; tokenizer.json and config.json lie beside it or in the folder
 * above
 * @throws RequestError naming the file and what is wrong with it
 */
export async function loadOnnxClassifier (path: string, options: OnnxClassifierOptions): Promise<OnnxClassifier> {
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
  const bytes = await readFile(graph).catch(() => { throw refuseModel({ path: graph }, 'cannot read it') })
  const sessionOptions = { threads: options.threads, foreignIntegers: true }
  const session = await Session.create(bytes, sessionOptions).catch((error: unknown) => {
    throw refuseModel({ path: graph }, `cannot compile its graph: ${(error as Error).message}`)
  })
  try {
    const classifier = new Classifier(session, outputOf(graph, session), encoder, {
      ...sizes,
      id: basename(path),
      weightBytes: bytes.byteLength,
      sha256: createHash('sha256').update(bytes).update(JSON.stringify(tokenizer)).digest('hex')
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
