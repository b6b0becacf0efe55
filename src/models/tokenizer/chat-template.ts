/**
 * Chat messages → prompt text and tokens, by the model's own Jinja template. Templates come from model files, never
 * from requests.
 */
import { randomBytes } from 'node:crypto'
import { Template } from '@huggingface/jinja'
import { RequestError } from '../../errors.js'
import { hermesForm, templateCallForm, type CallForm } from './tool-call-format.js'
import type { GgufFile } from '../formats/gguf.js'
import type { TemplatePiece, Tokenizer } from './tokenizer.js'
import { mapTexts, nativeMessage, writtenMessages, type TemplateMessage } from './tool-messages.js'

/** Texts of special tokens that templates may write by name; '' where the model names none. */
export interface TemplateConstants { readonly bos_token: string, readonly eos_token: string }

/** A model's chat template. */
export interface ChatTemplate {
  /** The template itself, in Jinja. */
  readonly source: string
  readonly constants: TemplateConstants
  /**
   * The prompt text.
   * @param messages as the template takes them
   * @param addGenerationPrompt whether it ends with the opening of the assistant's turn
   * @param tools functions that may be called, where the template renders them
   * @throws RequestError where the template refuses the messages
   */
  render (messages: readonly object[], addGenerationPrompt: boolean, tools?: readonly object[]): string
  /** Whether it renders tools, calls and their results. */
  readonly rendersTools: boolean
  /** How the model writes calls: as the template does, or as the system message asks it to. */
  readonly callForm: CallForm
}

/** How a chat ends: by default with the opening of an answer; to be continued, with the last message's text. */
export interface ChatEnding { readonly addGenerationPrompt?: boolean, readonly continueFinalMessage?: boolean }

/** What a chat is rendered with beside its messages: tools as OpenAI's requests have them. */
export interface ChatOptions extends ChatEnding { readonly tools?: readonly object[] }

/**
 * A template from its Jinja source.
 * @param path of the file it is from, for messages.
 * @throws RequestError if it cannot be parsed
 */
export function chatTemplate (path: string, source: string, constants: TemplateConstants): ChatTemplate {
  let template: Template
  try {
    template = new Template(source)
  } catch (cause) {
    throw new RequestError('invalid_request', `${path}: cannot parse its chat template: ` +
      `${cause instanceof Error ? cause.message : String(cause)}`, { param: 'model', cause })
  }
  const rendered = (messages: readonly object[], addGenerationPrompt: boolean, tools?: readonly object[]): string =>
    template.render({ ...constants, messages, add_generation_prompt: addGenerationPrompt, ...(tools ? { tools } : {}) })
  const taught = templateCallForm((messages, tools) => rendered(messages, false, tools))
  return {
    source,
    constants,
    rendersTools: taught !== null,
    callForm: taught ?? hermesForm,
    render (messages, addGenerationPrompt, tools) {
      try {
        return rendered(messages, addGenerationPrompt, tools)
      } catch (cause) {
        throw new RequestError('invalid_request', "the model's chat template rejects these messages: " +
          `${cause instanceof Error ? cause.message : String(cause)}`, { param: 'messages', cause })
      }
    }
  }
}

/** The chat template's source of a GGUF file, null where it has none, and the texts of its special tokens. */
export function templateOfGguf (file: GgufFile): { source: string | null, constants: TemplateConstants } {
  const source = file.metadata['tokenizer.chat_template']
  const tokens = file.metadata['tokenizer.ggml.tokens'] as string[]
  const special = (key: string): string => {
    const id = file.metadata[`tokenizer.ggml.${key}_token_id`]
    return typeof id === 'number' ? tokens[id] ?? '' : ''
  }
  return {
    source: typeof source === 'string' ? source : null,
    constants: { bos_token: special('bos'), eos_token: special('eos') }
  }
}

/**
 * The system message of tools for templates that do not render them: Qwen 2.5's wording, which SmolLM2 and Hermes
 * models were trained on, too.
 */
const toolPrompt = (tools: readonly object[]): string => `# Tools

You may call one or more functions to assist with the user query.

You are provided with function signatures within <tools></tools> XML tags:
<tools>
${tools.map(tool => JSON.stringify(tool)).join('\n')}
</tools>

For each function call, return a json object with function name and arguments within <tool_call></tool_call> XML tags:
<tool_call>
{"name": <function-name>, "arguments": <args-json-object>}
</tool_call>`

/** Messages with tools in the system message. */
function withTools ([first, ...rest]: readonly TemplateMessage[], tools: readonly object[]): TemplateMessage[] {
  if (first?.role === 'system') return [{ ...first, content: `${first.content}\n\n${toolPrompt(tools)}` }, ...rest]
  return [{ role: 'system', content: toolPrompt(tools) }, ...(first ? [first] : []), ...rest]
}

/**
 * Renders and tokenises a chat. Control tokens come from the template only: where a text of a message, a call or a tool
 * looks like one, it is carried through the template under a random name and tokenised as plain text, so that no
 * message can end its turn or open another's. Where the last message is to be continued, its end is found in the same
 * way. Tools that the template does not render go into the system message.
 */
export function encodeChat (
  template: ChatTemplate, tokenizer: Tokenizer, given: readonly TemplateMessage[],
  { addGenerationPrompt = true, continueFinalMessage = false, tools = [] }: ChatOptions = {}
): { text: string, tokens: number[] } {
  const plain = template.rendersTools ? given : writtenMessages(given)
  const messages = tools.length > 0 && !template.rendersTools ? withTools(plain, tools) : plain
  const nonce = randomBytes(8).toString('hex')
  const hidden: string[] = []
  const hide = (text: string): string =>
    text.replaceAll(tokenizer.controlText, found => `\u{F0000}${nonce}.${hidden.push(found) - 1}\u{F0001}`)
  const end = `\u{F0000}${nonce}.end\u{F0001}`
  const hiddenMessages = messages.map((message, index) => {
    const native = nativeMessage(message, hide)
    return continueFinalMessage && index === messages.length - 1 ? { ...native, content: native.content + end } : native
  })
  const hiddenTools = tools.length > 0 && template.rendersTools ? mapTexts(tools, hide) as object[] : undefined
  const [rendered] = template.render(hiddenMessages, addGenerationPrompt && !continueFinalMessage, hiddenTools)
    .split(end) as [string]
  const pieces: TemplatePiece[] = rendered.split(new RegExp(`\u{F0000}${nonce}\\.(\\d+)\u{F0001}`, 'u'))
    .map((part, index) =>
      index % 2 === 0 ? { text: part, trusted: true } : { text: hidden[Number(part)]!, trusted: false })
  return { text: pieces.map(piece => piece.text).join(''), tokens: tokenizer.encodeTemplate(pieces) }
}
