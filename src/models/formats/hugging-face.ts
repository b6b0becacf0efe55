/**
 * A Hugging Face checkpoint: a folder with config.json, tokenizer.json and model.safetensors, or its shards beside
 * model.safetensors.index.json. Its tensors go by GGUF's names. Knows files, not what is computed with them.
 */
import { basename, join } from 'node:path'
import { decodeText } from '../../text-file.js'
import type { TemplateConstants, TemplateSources } from '../tokenizer/chat-template.js'
import type { DecoderConfig } from '../decoder-config.js'
import { closingOnError, readWhole } from './binary-files.js'
import { checkDecoder, embeddingTensor, refuseModel, scoreTensors } from './decoder-tensors.js'
import { decoderConfigFromHuggingFace, ggufName, type NamedTensors } from './hugging-face-config.js'
import { exists, maxJsonBytes, readJson, readJsonIfThere, type Fields } from './json-files.js'
import { openSafetensors, type SafetensorsFile } from './safetensors.js'
import type { StoredTensor, TensorFile } from './tensor-file.js'
import { tokenizerFromJson, type Tokenizer } from '../tokenizer/tokenizer.js'

const indexName = 'model.safetensors.index.json'

/** Names of the files that hold weights. @throws RequestError for an index that is none, or names files elsewhere */
export async function weightFiles (folder: string): Promise<string[]> {
  if (!await exists(join(folder, indexName))) return ['model.safetensors']
  const { weight_map: map } = await readJson(folder, indexName)
  const names = [...new Set(Object.values((map ?? {}) as Fields))]
  if (names.length > 0 && names.every((name): name is string =>
    typeof name === 'string' && basename(name) === name && name.endsWith('.safetensors'))) return names
  throw refuseModel({ path: folder },
    `${indexName} must have a weight_map from tensor names to *.safetensors files in the same directory`)
}

/** Every file of a checkpoint that decides what it computes. */
export async function checkpointFiles (folder: string): Promise<string[]> {
  const small = ['config.json', 'tokenizer.json', 'tokenizer_config.json', 'chat_template.jinja',
    'additional_chat_templates/tool_use.jinja', 'generation_config.json']
  const there = await Promise.all(small.map(name => exists(join(folder, name))))
  return [...small.filter((_, index) => there[index]), ...await weightFiles(folder)]
}

/** Tensors of several files as one, by GGUF's names. */
class CheckpointTensors implements TensorFile, NamedTensors {
  readonly path: string
  readonly tensors = new Map<string, StoredTensor>()
  readonly #sources = new Map<string, { readonly file: SafetensorsFile, readonly name: string }>()
  readonly #files: readonly SafetensorsFile[]

  constructor (path: string, files: readonly SafetensorsFile[]) {
    this.path = path
    this.#files = files
    for (const file of files) for (const [name, tensor] of file.tensors) this.#add(file, name, tensor)
  }

  #add (file: SafetensorsFile, name: string, tensor: StoredTensor): void {
    const known = ggufName(name)
    if (known === null) return
    if (this.tensors.has(known)) {
      throw refuseModel(this, `tensor ${known} occurs twice: as ${this.#sources.get(known)!.name} and as ${name}`)
    }
    this.tensors.set(known, tensor)
    this.#sources.set(known, { file, name })
  }

  storedName = (name: string): string | undefined => this.#sources.get(name)?.name

  /**
   * Leaves a language model's head out where it is not computed with: beside a score head, and where it is the
   * embedding. As in transformers, a head that the file has with other values is no embedding, whatever the
   * configuration says.
   * @throws RequestError where it is missing
   */
  async settleHead (isTied: boolean): Promise<void> {
    const head = 'output.weight'
    if (this.tensors.has(`${scoreTensors.output}.weight`)) this.tensors.delete(head)
    else if (!this.tensors.has(head) && !isTied) {
      throw refuseModel(this, 'it has no lm_head.weight, and tie_word_embeddings of config.json is not true')
    } else if (isTied && this.tensors.has(head) && await this.#isEmbedding(head)) this.tensors.delete(head)
  }

  async #isEmbedding (name: string): Promise<boolean> {
    if (!this.tensors.has(embeddingTensor)) return false
    const [one, other] = [await this.read(name), await this.read(embeddingTensor)]
    return Buffer.from(one.buffer).equals(Buffer.from(other.buffer))
  }

  async read (name: string): Promise<Float32Array> {
    const source = this.#sources.get(name)
    if (!source) throw refuseModel(this, `it has no tensor ${name}`)
    return source.file.read(source.name)
  }

  readGroups (name: string): Promise<never> {
    return Promise.reject(new Error(`tensor ${name} has no groups: safetensors have none`))
  }

  async close (): Promise<void> {
    await Promise.all(this.#files.map(file => file.close()))
  }
}

/** Opens all of a checkpoint's files, or none. */
async function openTensors (folder: string): Promise<CheckpointTensors> {
  const files: SafetensorsFile[] = []
  try {
    for (const name of await weightFiles(folder)) files.push(await openSafetensors(join(folder, name)))
    return new CheckpointTensors(folder, files)
  } catch (error) {
    await Promise.all(files.map(file => file.close()))
    throw error
  }
}

/** Numbers of the tokens that end an answer, as generation_config.json or config.json says. */
function endsOf (config: Fields, generation: Fields): number[] {
  return [generation['eos_token_id'] ?? config['eos_token_id'] ?? []].flat()
    .filter((id): id is number => typeof id === 'number')
}

/** Text of a special token of tokenizer_config.json: a text, or an object with it. */
function specialText (value: unknown): string {
  return typeof value === 'string'
    ? value
    : typeof value === 'object' && value !== null && 'content' in value ? String(value.content) : ''
}

/**
 * The sources of the chat templates: chat_template.jinja and additional_chat_templates/tool_use.jinja, or chat_template
 * of tokenizer_config.json: one, or several with names.
 */
async function templateSources (folder: string, { chat_template: given }: Fields): Promise<TemplateSources> {
  const named = new Map((Array.isArray(given) ? given as Array<{ name?: unknown, template?: unknown } | null> : [])
    .map(one => [one?.name, one?.template]))
  const text = async (name: string, known: unknown): Promise<string | null> => {
    const path = join(folder, name)
    if (!await exists(path)) return typeof known === 'string' ? known : null
    const bytes = await readWhole(path, maxJsonBytes).catch((error: Error) => {
      throw refuseModel({ path: folder }, `cannot read ${name}: ${error.message}`)
    })
    return decodeText(bytes, path)
  }
  return {
    source: await text('chat_template.jinja', typeof given === 'string' ? given : named.get('default')),
    toolSource: await text('additional_chat_templates/tool_use.jinja', named.get('tool_use'))
  }
}

/**
 * A tokenizer.json without added tokens that its model has no rows for, where nothing asks for them: a `[PAD]` that
 * training filled batches up with and that was saved with the tokenizer alone.
 * @param texts of what may ask for tokens: the chat template, and special tokens that templates write by name
 * @param ends numbers of the tokens that end an answer
 */
function withoutUnused (tokenizer: Fields, rows: number, texts: readonly string[], ends: readonly number[]): Fields {
  const { added_tokens: added } = tokenizer
  if (!Array.isArray(added)) return tokenizer
  const isUnused = ({ id, content }: { readonly id: unknown, readonly content: unknown }): boolean =>
    typeof id === 'number' && id >= rows && typeof content === 'string' && !ends.includes(id) &&
    !texts.some(text => text.includes(content))
  return { ...tokenizer, added_tokens: added.filter(token => !isUnused(token as never)) }
}

/** What a model's texts are read and written with, as its files have it. */
export interface OpenedTexts {
  readonly tokenizer: Tokenizer
  readonly template: TemplateSources & { readonly constants: TemplateConstants }
}

/** A model as its files describe it. */
export interface OpenedModel extends OpenedTexts {
  readonly file: TensorFile
  readonly config: DecoderConfig
}

/** Rows that a vocabulary takes at least. */
function rowsOf ({ model, added_tokens: added }: Fields): number {
  const { vocab } = (model ?? {}) as Fields
  const ids = [...Object.values((vocab ?? {}) as Fields),
    ...(Array.isArray(added) ? added : []).map((token: { readonly id?: unknown } | null) => token?.id)]
  return ids.reduce<number>((most, id) => typeof id === 'number' ? Math.max(most, id + 1) : most, 0)
}

/**
 * Reads tokenizer and chat template of a folder, whose model and its configuration need not be there.
 * @throws RequestError naming the folder, the file and what is wrong with it
 */
export async function readTexts (folder: string): Promise<OpenedTexts> {
  const [config, generation, tokenizerConfig, json] = [await readJsonIfThere(folder, 'config.json'),
    await readJsonIfThere(folder, 'generation_config.json'), await readJsonIfThere(folder, 'tokenizer_config.json'),
    await readJson(folder, 'tokenizer.json')]
  const given = config['vocab_size']
  return await textsOf(folder, { config, generation, tokenizerConfig, json },
    typeof given === 'number' && Number.isSafeInteger(given) ? given : rowsOf(json))
}

/** Parsed files of a folder: config.json, generation_config.json, tokenizer_config.json, tokenizer.json. */
interface TextFiles {
  readonly config: Fields, readonly generation: Fields, readonly tokenizerConfig: Fields, readonly json: Fields
}

/** @param vocabularySize tokens that the model has rows for */
async function textsOf (
  folder: string, { config, generation, tokenizerConfig, json }: TextFiles, vocabularySize: number
): Promise<OpenedTexts> {
  const constants = {
    bos_token: specialText(tokenizerConfig['bos_token']), eos_token: specialText(tokenizerConfig['eos_token'])
  }
  const [sources, ends] = [await templateSources(folder, tokenizerConfig), endsOf(config, generation)]
  const used = withoutUnused(json, vocabularySize,
    [sources.source ?? '', sources.toolSource ?? '', ...Object.values(constants)], ends)
  const tokenizer =
    tokenizerFromJson({ path: folder, tokenizer: used as never, config: tokenizerConfig, vocabularySize, ends })
  return { tokenizer, template: { ...sources, constants } }
}

/**
 * Opens a checkpoint. Its file must be closed.
 * @throws RequestError naming the folder, the file and what is wrong with it
 */
export async function openHuggingFace (folder: string): Promise<OpenedModel> {
  const [fields, generation, tokenizerConfig] = [await readJson(folder, 'config.json'),
    await readJsonIfThere(folder, 'generation_config.json'), await readJsonIfThere(folder, 'tokenizer_config.json')]
  return await closingOnError(await openTensors(folder), async file => {
    await file.settleHead(fields['tie_word_embeddings'] === true)
    const config = decoderConfigFromHuggingFace(folder, fields, file)
    checkDecoder(file, config)
    const json = await readJson(folder, 'tokenizer.json')
    const texts = await textsOf(folder, { config: fields, generation, tokenizerConfig, json }, config.vocabularySize)
    return { file, config, ...texts }
  })
}
