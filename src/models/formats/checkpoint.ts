/**
 * Opens a model, a GGUF file or a folder in Hugging Face's layout, as what a model is loaded from. Knows no graph and
 * no weight formats.
 */
import { adaptModel, type Variant } from './adapted-model.js'
import { closingOnError } from './binary-files.js'
import { chatTemplates, templateOfGguf, type ChatTemplate, type TemplateSources } from '../tokenizer/chat-template.js'
import type { DecoderConfig } from '../decoder-config.js'
import { refusalOf, refuseModel } from './decoder-tensors.js'
import { decoderConfigFromGguf } from './gguf-config.js'
import { openShards } from './gguf-shards.js'
import { openHuggingFace, readTexts, type OpenedModel, type OpenedTexts } from './hugging-face.js'
import type { TensorFile } from './tensor-file.js'
import { tokenizerFromGguf, type Tokenizer } from '../tokenizer/tokenizer.js'

/** ONNX Runtime's GroupQueryAttention needs head sizes that are multiples of this. */
const headSizeStep = 16

/** A model that is open, its files read as far as the weights. */
export interface Checkpoint {
  readonly file: TensorFile
  readonly config: DecoderConfig
  readonly tokenizer: Tokenizer
  readonly chatTemplate: ChatTemplate
}

async function openGgufCheckpoint (path: string): Promise<OpenedModel> {
  return closingOnError(await openShards(path), file => ({
    file, config: decoderConfigFromGguf(file), tokenizer: tokenizerFromGguf(file), template: templateOfGguf(file)
  }))
}

/**
 * Opens a model. Its file must be closed.
 * @param path of a file that ends in .gguf, the first where there are several, or of a folder
 * @param templates chat templates that take the place of the model's own
 * @param variant what the model is made into: default what it is
 * @throws RequestError naming the file and what is wrong with it
 */
export async function openCheckpoint (
  path: string, templates?: TemplateSources, variant?: Variant
): Promise<Checkpoint> {
  try {
    return await open(path, templates, variant)
  } catch (error) {
    throw refusalOf({ path }, error)
  }
}

/** What texts for a model are read and written with. */
export type CheckpointTexts = Pick<Checkpoint, 'tokenizer' | 'chatTemplate'>

async function readGgufTexts (path: string): Promise<OpenedTexts> {
  const file = await openShards(path)
  try {
    return { tokenizer: tokenizerFromGguf(file), template: templateOfGguf(file) }
  } finally {
    await file.close()
  }
}

/**
 * Reads tokenizer and chat template alone: of a model, or of a folder that has only these files of it.
 * @param templates as with `openCheckpoint`
 * @throws RequestError naming the file and what is wrong with it
 */
export async function openTexts (path: string, templates?: TemplateSources): Promise<CheckpointTexts> {
  try {
    const { tokenizer, template: { constants, ...own } } =
      await (path.endsWith('.gguf') ? readGgufTexts(path) : readTexts(path))
    return { tokenizer, chatTemplate: chatTemplates(path, templates ?? own, constants) }
  } catch (error) {
    throw refusalOf({ path }, error)
  }
}

async function open (path: string, templates?: TemplateSources, variant?: Variant): Promise<Checkpoint> {
  const opened = await (path.endsWith('.gguf') ? openGgufCheckpoint(path) : openHuggingFace(path))
  return await closingOnError(opened.file, async () => {
    if (opened.config.headSize % headSizeStep !== 0) {
      throw refuseModel(opened.file, `head size ${opened.config.headSize} is not supported: rotary ` +
        `attention requires a multiple of ${headSizeStep}`)
    }
    const { tokenizer, template: { constants, ...own } } = opened
    return {
      ...variant ? await adaptModel(opened, variant) : opened,
      tokenizer,
      chatTemplate: chatTemplates(path, templates ?? own, constants)
    }
  })
}
