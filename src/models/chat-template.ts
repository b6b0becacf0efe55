/**
 * Chat messages → prompt text and tokens, by the model's own Jinja template. Templates come from model files, never from
 * requests.
 */
import { randomBytes } from 'node:crypto'
import { Template } from '@huggingface/jinja'
import { RequestError } from '../errors.js'
import type { GgufFile } from './gguf.js'
import type { TemplatePiece, Tokenizer } from './tokenizer.js'

export interface TemplateMessage { readonly role: string, readonly content: string, readonly name?: string }

export interface ChatTemplate {
  /** The template itself, in Jinja. */
  readonly source: string
  /** Texts of the tokens that it may write first and last; '' where the model names none. */
  readonly constants: { readonly bos_token: string, readonly eos_token: string }
  /**
   * The prompt text.
   * @param addGenerationPrompt whether it ends with the opening of the assistant's turn
   * @throws RequestError where the template refuses the messages
   */
  render (messages: readonly TemplateMessage[], addGenerationPrompt: boolean): string
}

/** How a chat ends: with the opening of an answer unless told otherwise, or, to be continued, with the last message's text. */
export interface ChatEnding { readonly addGenerationPrompt?: boolean, readonly continueFinalMessage?: boolean }

/** Texts that templates may write by name. */
export interface TemplateConstants { readonly bos_token: string, readonly eos_token: string }

/** A template from its Jinja source. @param path of the file it is from, for messages. @throws RequestError if it cannot be parsed */
export function chatTemplate (path: string, source: string, constants: TemplateConstants): ChatTemplate {
  let template: Template
  try {
    template = new Template(source)
  } catch (cause) {
    throw new RequestError('invalid_request', `${path}: its chat template cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`, { param: 'model', cause })
  }
  return {
    source,
    constants,
    render (messages, addGenerationPrompt) {
      try {
        return template.render({ ...constants, messages, add_generation_prompt: addGenerationPrompt })
      } catch (cause) {
        throw new RequestError('invalid_request', `the model's chat template refuses these messages: ${cause instanceof Error ? cause.message : String(cause)}`, { param: 'messages', cause })
      }
    }
  }
}

/** What a GGUF file says of chats: the source of its template, null where it has none, and the texts of its special tokens. */
export function templateOfGguf (file: GgufFile): { source: string | null, constants: TemplateConstants } {
  const source = file.metadata['tokenizer.chat_template']
  const tokens = file.metadata['tokenizer.ggml.tokens'] as string[]
  const special = (key: string): string => {
    const id = file.metadata[`tokenizer.ggml.${key}_token_id`]
    return typeof id === 'number' ? tokens[id] ?? '' : ''
  }
  return { source: typeof source === 'string' ? source : null, constants: { bos_token: special('bos'), eos_token: special('eos') } }
}

/**
 * Renders and tokenises a chat. Control tokens come from the template only: where a message's text looks like one, it is
 * carried through the template under a random name and tokenised as plain text, so that no message can end its turn or
 * open another's. Where the last message is to be continued, its end is found in the same way.
 */
export function encodeChat (template: ChatTemplate, tokenizer: Tokenizer, messages: readonly TemplateMessage[], { addGenerationPrompt = true, continueFinalMessage = false }: ChatEnding = {}): { text: string, tokens: number[] } {
  const nonce = randomBytes(8).toString('hex')
  const hidden: string[] = []
  const hide = (text: string): string => {
    let shown = text
    for (const control of tokenizer.controlTexts) {
      shown = shown.replaceAll(control, found => `\u{F0000}${nonce}.${hidden.push(found) - 1}\u{F0001}`)
    }
    return shown
  }
  const end = `\u{F0000}${nonce}.end\u{F0001}`
  const hiddenMessages = messages.map(({ role, content, name }, index) => ({
    role: hide(role),
    content: hide(content) + (continueFinalMessage && index === messages.length - 1 ? end : ''),
    ...(name === undefined ? {} : { name: hide(name) })
  }))
  const [rendered] = template.render(hiddenMessages, addGenerationPrompt && !continueFinalMessage).split(end) as [string]
  const pieces: TemplatePiece[] = rendered.split(new RegExp(`\u{F0000}${nonce}\\.(\\d+)\u{F0001}`, 'u'))
    .map((part, index) => index % 2 === 0 ? { text: part, trusted: true } : { text: hidden[Number(part)]!, trusted: false })
  return { text: pieces.map(piece => piece.text).join(''), tokens: tokenizer.encodeTemplate(pieces) }
}
