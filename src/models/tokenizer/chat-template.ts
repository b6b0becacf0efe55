/**
 * Chat messages → prompt text and tokens, by the model's own Jinja template. Templates come from model files, never
 * from requests.
 */
import { randomBytes } from 'node:crypto'
import { RequestError } from '../../errors.js'
import { TemplateLimitError } from '../jinja/budget.js'
import { TemplateError } from '../jinja/lexer.js'
import { strip } from '../jinja/methods.js'
import { Template } from '../jinja/template.js'
import { Text } from '../jinja/text.js'
import { List, valueOf, type Dict } from '../jinja/values.js'
import { hermesForm, templateCallForm, type CallForm } from './tool-call-format.js'
import type { GgufFile } from '../formats/gguf.js'
import type { TemplatePiece, Tokenizer } from './tokenizer.js'
import { nativeMessage, writtenMessages, type TemplateMessage } from './tool-messages.js'

/** Texts of special tokens that templates may write by name; '' where the model names none. */
export interface TemplateConstants { readonly bos_token: string, readonly eos_token: string }

/** A model's chat templates in Jinja; null where it has none. `toolSource` is the one for chats with tools. */
export interface TemplateSources { readonly source: string | null, readonly toolSource: string | null }

/** A model's chat template. */
export interface ChatTemplate {
  /** The template itself, in Jinja; null where the model has none: every chat is refused then. */
  readonly source: string | null
  readonly constants: TemplateConstants
  /**
   * The prompt text, which knows what of it the messages and tools brought.
   * @param messages as the template takes them
   * @param addGenerationPrompt whether it ends with the opening of the assistant's turn
   * @param tools functions that may be called, where the template renders them
   * @throws RequestError where the template refuses the messages
   */
  render (messages: readonly Dict[], addGenerationPrompt: boolean, tools?: readonly object[]): Text
  /** Whether it renders tools, calls and their results. */
  readonly rendersTools: boolean
  /** How the model writes calls: as the template does, or as the system message asks it to. */
  readonly callForm: CallForm
  /** Another template of the model, for chats with tools. */
  readonly forTools?: ChatTemplate
}

/** How a chat ends: by default with the opening of an answer; to be continued, with the last message's text. */
export interface ChatEnding { readonly addGenerationPrompt?: boolean, readonly continueFinalMessage?: boolean }

/** What a chat is rendered with beside its messages: tools as OpenAI's requests have them. */
export interface ChatOptions extends ChatEnding { readonly tools?: readonly object[] }

const why = (error: unknown): string => error instanceof Error ? error.message : String(error)

/**
 * A template from its Jinja source.
 * @param path of the file it is from, for messages.
 * @throws RequestError if it cannot be parsed, or does not end
 */
export function chatTemplate (path: string, source: string, constants: TemplateConstants): ChatTemplate {
  const refuse = (what: string, cause: unknown): RequestError =>
    new RequestError('invalid_request', `${path}: cannot ${what} its chat template: ${why(cause)}`,
      { param: 'model', cause })
  let template: Template
  try {
    template = new Template(source)
  } catch (cause) {
    throw refuse('parse', cause)
  }
  const rendered = (messages: readonly Dict[], addGenerationPrompt: boolean, tools?: readonly object[]): Text =>
    template.render({
      bos_token: new Text(constants.bos_token),
      eos_token: new Text(constants.eos_token),
      messages: new List(messages),
      add_generation_prompt: addGenerationPrompt,
      tools: tools ? valueOf(tools) : null,
      documents: null
    })
  try {
    rendered([nativeMessage({ role: 'user', content: 'x' })], true)
  } catch (error) {
    // What a template says to a chat of one message is for those who send such.
    if (error instanceof TemplateLimitError || !(error instanceof TemplateError)) throw refuse('render', error)
  }
  const taught = templateCallForm((messages, tools) =>
    rendered(messages.map(message => valueOf(message) as Dict), false, tools).value)
  return {
    source,
    constants,
    rendersTools: taught !== null,
    callForm: taught ?? hermesForm,
    render (messages, addGenerationPrompt, tools) {
      try {
        return rendered(messages, addGenerationPrompt, tools)
      } catch (cause) {
        throw new RequestError('invalid_request', `the model's chat template rejects these messages: ${why(cause)}`,
          { param: 'messages', cause })
      }
    }
  }
}

/** What stands for the template of a model without: a base model writes on texts, and answers no chats. */
const noTemplate = (constants: TemplateConstants): ChatTemplate => ({
  source: null,
  constants,
  rendersTools: false,
  callForm: hermesForm,
  render () {
    throw new RequestError('invalid_request', 'the model has no chat template: it takes prompts, no messages; ' +
      '--chat-template FILE gives a served model one, "template" in its descriptor a model of a reward',
    { param: 'messages' })
  }
})

/**
 * The templates of a model as one.
 * @param path of the file they are from, for messages.
 * @throws RequestError if one cannot be parsed, or does not end
 */
export function chatTemplates (
  path: string, { source, toolSource }: TemplateSources, constants: TemplateConstants
): ChatTemplate {
  const only = source ?? toolSource
  if (only === null) return noTemplate(constants)
  const template = chatTemplate(path, only, constants)
  if (toolSource === null || toolSource === only) return template
  const forTools = chatTemplate(path, toolSource, constants)
  return { ...template, callForm: forTools.callForm, forTools }
}

/** The chat templates of a GGUF file, and the texts of its special tokens. */
export function templateOfGguf (file: GgufFile): TemplateSources & { constants: TemplateConstants } {
  const [source, toolSource] = ['chat_template', 'chat_template.tool_use'].map(key => {
    const value = file.metadata[`tokenizer.${key}`]
    return typeof value === 'string' && value !== '' ? value : null
  }) as [string | null, string | null]
  const tokens = file.metadata['tokenizer.ggml.tokens'] as string[]
  const special = (key: string): string => {
    const id = file.metadata[`tokenizer.ggml.${key}_token_id`]
    return typeof id === 'number' ? tokens[id] ?? '' : ''
  }
  return {
    source,
    toolSource,
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

/** A text in the pieces that callers and the template wrote. */
function piecesOf (text: Text): TemplatePiece[] {
  const pieces: TemplatePiece[] = []
  let done = 0
  for (let index = 0; index < text.ranges.length; index += 2) {
    const [from, to] = [text.ranges[index]!, text.ranges[index + 1]!]
    pieces.push({ text: text.value.slice(done, from), trusted: true },
      { text: text.value.slice(from, to), trusted: false })
    done = to
  }
  return [...pieces, { text: text.value.slice(done), trusted: true }]
}

/**
 * A text up to a mark behind the last message. Where the template drops the blank behind the mark, it strips contents,
 * and so is what is continued, as in transformers.
 */
function upTo (text: Text, mark: string): Text {
  const at = text.value.lastIndexOf(mark)
  if (at < 0) {
    throw new RequestError('invalid_request', 'continue_final_message must be false: the model\'s chat template does ' +
      'not write the whole text of the last message', { param: 'continue_final_message' })
  }
  const before = text.slice(0, at)
  return text.value[at + mark.length] === ' ' ? before : strip(before, undefined, 'right')
}

/**
 * Renders and tokenises a chat. Control tokens come from the template only: what a message, a call or a tool says stays
 * text through all that the template does with it, so that no message can end its turn or open another's. Tools that
 * the template does not render go into the system message.
 */
export function encodeChat (
  whole: ChatTemplate, tokenizer: Tokenizer, given: readonly TemplateMessage[],
  { addGenerationPrompt = true, continueFinalMessage = false, tools = [] }: ChatOptions = {}
): { text: string, tokens: number[] } {
  const template = tools.length > 0 && whole.forTools ? whole.forTools : whole
  const plain = template.rendersTools ? given : writtenMessages(given)
  const messages = tools.length > 0 && !template.rendersTools ? withTools(plain, tools) : plain
  const mark = `\u{F0000}${randomBytes(8).toString('hex')}\u{F0001}`
  const shown = messages.map((message, index) =>
    nativeMessage(message, continueFinalMessage && index === messages.length - 1 ? `${mark} ` : ''))
  const rendered = template.render(shown, addGenerationPrompt && !continueFinalMessage,
    tools.length > 0 && template.rendersTools ? tools : undefined)
  const text = continueFinalMessage ? upTo(rendered, mark) : rendered
  return { text: text.value, tokens: tokenizer.encodeTemplate(piecesOf(text)) }
}
