/** Loads a model: file → weights, graph, session, tokenizer, chat template. Knows no sequences and no requests. */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { RequestError } from '../errors.js'
import { packageRoot, packageVersion } from '../package-root.js'
import { Session, SharedWeights } from '../runtime/session.js'
import type { Tensor } from '../runtime/tensor.js'
import type { Variant } from './formats/adapted-model.js'
import { encodeChat, type ChatTemplate } from './tokenizer/chat-template.js'
import { openCheckpoint, type Checkpoint } from './formats/checkpoint.js'
import type { DecoderConfig } from './decoder-config.js'
import { buildDecoderGraph } from './graph/decoder-graph.js'
import { DecoderSessions } from './graph/decoder-sessions.js'
import { hiddenBasis, type HiddenBasis } from './hidden-basis.js'
import { loadDecoderWeights, type WeightOptions } from './quantization/decoder-weights.js'
import { resolveModel, resolveVariant } from './store/model-store.js'
import { describeShape, type RunShape } from './graph/run-shape.js'
import { operatorNames } from './self-test/product-test.js'
import { chooseOperators, type ChosenOperators, type OperatorReport } from './self-test/choose-operators.js'
import { SelfTest } from './self-test/self-test.js'
import { sharesInPieces } from './graph/shared-prefix-attention.js'
import type { TensorFile } from './formats/tensor-file.js'
import { TokenEmbeddings } from './token-embeddings.js'
import type { Tokenizer } from './tokenizer/tokenizer.js'
import type { DeviceFormat } from './quantization/weight-format.js'

export interface ModelOptions {
  /** Name of a built-in model, or path of a GGUF file or of a folder in Hugging Face's layout. */
  readonly model: string
  /** What it is called. Default its built-in name, or its file's or folder's. */
  readonly id?: string
  /** Jinja source of a chat template that takes the place of the model's own. */
  readonly template?: string
  /** What the model is made into: fewer layers, an adapter. Default what it is. */
  readonly variant?: Variant
  /** `f16` is a device's alone. */
  readonly format: DeviceFormat
  readonly threads: number
  readonly cacheDir: string
  /** Longest sequence, tokens; 0 is the model's own. */
  readonly contextLength: number
  readonly onProgress?: (message: string) => void
  /** Whether candidates may share their prompt's KV, where the model can. Default yes. */
  readonly sharesPrompts?: boolean
  /** The self-test at a thread count. Default: of this processor. */
  readonly selfTest?: (threads: number) => SelfTest
  /** Path prefix of ONNX Runtime's profile, if one is wanted. */
  readonly profilePrefix?: string
}

/** A model that is loaded, wherever it runs. */
export interface ModelFacts {
  readonly id: string
  /** Of its file or folder. */
  readonly path: string
  readonly sha256: string
  /** What it is run with here. */
  readonly operators: OperatorReport
  readonly config: DecoderConfig
  /** Longest sequence the graph takes, tokens. */
  readonly contextLength: number
  /** Of its weights as they are in memory. */
  readonly weightBytes: number
  readonly embeddings: TokenEmbeddings
  readonly tokenizer: Tokenizer
  readonly chatTemplate: ChatTemplate
  /**
   * Same fingerprint and seed, same tokens: build, model, format, operators and how the processor's kernels round,
   * threads, whether prompts are shared, a chat template in place of the model's own.
   */
  readonly fingerprint: string
  /** Seconds since the epoch. */
  readonly created: number
}

/** A model that runs on the processor. */
export interface LoadedModel extends ModelFacts {
  readonly sessions: DecoderSessions
  /** How its hidden states are read; null: as they are. */
  readonly hiddenBasis: HiddenBasis | null
  /** Whether candidates may share their prompt's KV: only where a row's bits do not depend on the others. */
  readonly canSharePrefix: boolean
  /** Whether the self-test chose signed 8-bit rows: on x86 only instructions made for them are exact, and fast. */
  readonly hasCheapRows: boolean
  dispose (): void
}

/** A model as those know it who read and write texts for it, wherever it runs. */
export type TextModel =
  Pick<ModelFacts, 'id' | 'path' | 'contextLength' | 'tokenizer' | 'chatTemplate' | 'fingerprint' | 'created'>

function fingerprintOf (sha256: string, report: OperatorReport, template: string | undefined): string {
  const { format, threads, operators, sharesPrompts, onnxruntime, kernels } = report
  const sharing = sharesPrompts ? [] : ['prompts apart']
  const { platform, arch } = process
  const parts = [packageVersion, onnxruntime, sha256, format, platform, arch, kernels, ...operators, threads,
    ...sharing, ...(template === undefined ? [] : [`template ${template}`])]
  return `fl_${createHash('sha256').update(parts.join('|')).digest('hex').slice(0, 12)}`
}

/** Longest context that is made ready without being asked for, tokens: the most that the setting may be. */
const maxContext = 1 << 20

function sequenceLimit (config: DecoderConfig, asked: number): number {
  if (asked === 0 && config.contextLength > maxContext) {
    throw new RequestError('invalid_request', `the model's limit of ${config.contextLength} tokens is more than can be ` +
      `made ready: set context-length to at most ${maxContext}`, { param: 'contextLength' })
  }
  if (asked > config.contextLength) {
    throw new RequestError('invalid_request',
      `context-length must be at most the model's limit of ${config.contextLength}; got ${asked}`,
      { param: 'contextLength' })
  }
  return asked === 0 ? config.contextLength : asked
}

/** The built-in chats that formats are calibrated on, as the model reads them; as texts where it has no template. */
function calibrationTexts (template: ChatTemplate, tokenizer: Tokenizer): number[][] {
  const chats = JSON.parse(readFileSync(join(packageRoot, 'models', 'calibration', 'chats.json'),
    'utf8')) as Array<[prompt: string, answer: string]>
  return chats.map(([prompt, answer]) => template.source === null
    ? [...tokenizer.startTokens, ...tokenizer.encode(`${prompt}\n${answer}`)]
    : [...encodeChat(template, tokenizer, [{ role: 'user', content: prompt }]).tokens, ...tokenizer.encode(answer)])
}

/** The operators that pass the self-test; what fails is reported. */
async function operatorsOf (
  config: DecoderConfig, tensors: TensorFile['tensors'], options: ModelOptions
): Promise<ChosenOperators> {
  const { model, id = model, format, threads, cacheDir, sharesPrompts = true, onProgress = () => {} } = options
  const { selfTest = count => new SelfTest({ threads: count, cacheDir }) } = options
  if (format === 'f16') {
    throw new RequestError('invalid_request', 'format f16 is one of devices (--device), and this model runs on the ' +
      'processor: use i8, q8 or f32', { param: 'format' })
  }
  const chosen = await chooseOperators({ config, tensors, format, threads, sharesPrompts, selfTest })
  for (const note of chosen.report.notes) onProgress(`self-test for ${id}: ${note}`)
  return chosen
}

/** Sessions over the weights, one per shape of run, compiled when they are needed. */
function openSessions (
  config: DecoderConfig, { layout, report: { threads } }: ChosenOperators, weights: SharedWeights,
  ropePositions: number, { profilePrefix, onProgress = () => {} }: ModelOptions
): Promise<DecoderSessions> {
  const compile = (shape: RunShape): Promise<Session> => {
    const graph = buildDecoderGraph(config, layout, ropePositions, { shape, pieces: sharesInPieces(config, threads) })
    return Session.create(graph.model, {
      weights: weights.only(graph.weights),
      threads,
      ...(profilePrefix === undefined ? {} : { profilePrefix: `${profilePrefix}-${describeShape(shape)}` })
    })
  }
  return DecoderSessions.create({ weights, compile, onProblem: onProgress })
}

/** A model's file that is open, and what is known of the model before its weights are read. */
export interface OpenedModel {
  readonly checkpoint: Checkpoint
  readonly contextLength: number
  /** What loading its weights needs to know beside how they are held. */
  readonly weightOptions: Pick<WeightOptions, 'cacheDir' | 'sha256' | 'ropePositions' | 'calibration' | 'onProgress'>
  /** All that is known of the model, given what it is run with. */
  facts (operators: OperatorReport, weights: ReadonlyMap<string, Tensor>, weightBytes: number): ModelFacts
}

/**
 * Opens a model, fetching it on first use, for as long as something is loaded from it.
 * @throws RequestError for what the user can mend
 */
export async function withOpenModel<T> (options: ModelOptions, load: (opened: OpenedModel) => Promise<T>): Promise<T> {
  const { model, variant, template, cacheDir, onProgress = () => {} } = options
  const base = await resolveModel(model, { cacheDir, onProgress })
  const { path, sha256, created, id } = variant ? await resolveVariant(base, variant) : base
  const templates = template === undefined ? undefined : { source: template, toolSource: null }
  const checkpoint = await openCheckpoint(path, templates, variant)
  const { file, config, tokenizer, chatTemplate } = checkpoint
  try {
    const contextLength = sequenceLimit(config, options.contextLength)
    const calibration = (): number[][] => calibrationTexts(chatTemplate, tokenizer)
    return await load({
      checkpoint,
      contextLength,
      weightOptions: { cacheDir, sha256, ropePositions: contextLength, calibration, onProgress },
      facts: (operators, weights, weightBytes) => ({
        id: options.id ?? id,
        path,
        sha256,
        operators,
        config,
        contextLength,
        weightBytes,
        embeddings: new TokenEmbeddings(weights, config.hiddenSize),
        tokenizer,
        chatTemplate,
        fingerprint: fingerprintOf(sha256, operators, template),
        created
      })
    })
  } finally {
    await file.close()
  }
}

/** Loads a model, fetching and converting it on first use. @throws RequestError for what the user can mend */
export function loadModel (options: ModelOptions): Promise<LoadedModel> {
  return withOpenModel(options, async ({ checkpoint: { file, config }, contextLength, weightOptions, facts }) => {
    const operators = await operatorsOf(config, file.tensors, options)
    const { report: { format, kernels, threads } } = operators
    const { tensors, layout } = await loadDecoderWeights(file, config,
      { ...weightOptions, format, layout: operators.layout, kernels, threads })
    const weights = new SharedWeights(tensors)
    const sessions = await openSessions(config, { ...operators, layout }, weights, contextLength, options)
    const weightBytes = [...weights.tensors.values()].reduce((sum, { data }) => sum + data.byteLength, 0)
    return {
      ...facts({ ...operators.report, operators: operatorNames(layout) }, weights.tensors, weightBytes),
      sessions,
      hiddenBasis: hiddenBasis(config, layout, tensors),
      canSharePrefix: operators.report.sharesPrompts,
      hasCheapRows: [...layout.matrices.values()].some(kind => kind.operator === 'rows' && kind.levels === 'int8'),
      dispose: () => { sessions.dispose() }
    }
  })
}
