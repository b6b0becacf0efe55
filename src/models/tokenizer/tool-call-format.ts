/**
 * How models write calls of functions in an answer's text, and which way a chat template teaches. Knows no requests.
 */

/** A call is `begins`, `beforeName`, the name, `afterName`, the object of its arguments, `ends`. */
export interface CallForm {
  readonly begins: string
  /** Whether calls may stand anywhere, behind text and behind each other; else a call is the whole answer. */
  readonly isAnywhere: boolean
  readonly beforeName: string
  readonly afterName: string
  readonly ends: string
}

/** Of Hermes, Qwen 2.5 and 3, SmolLM: `<tool_call>\n{"name": NAME, "arguments": OBJECT}\n</tool_call>`. */
export const hermesForm: CallForm = {
  begins: '<tool_call>',
  isAnywhere: true,
  beforeName: '\n{"name": "',
  afterName: '", "arguments": ',
  ends: '}\n</tool_call>'
}

/** Of Llama 3.1 to 3.3: `{"name": NAME, "parameters": OBJECT}`, alone. */
export const llamaForm: CallForm = {
  begins: '{', isAnywhere: false, beforeName: '"name": "', afterName: '", "parameters": ', ends: '}'
}

const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')

/** A conversation that uses a tool, as templates take it, and names to be found in what they make of it. */
const probe = {
  tools: [{
    type: 'function',
    function: { name: 'told_function', description: 'x', parameters: { type: 'object', properties: {} } }
  }],
  messages: [
    { role: 'user', content: 'x' },
    {
      role: 'assistant',
      content: '',
      tool_calls: [
        { id: 'call00000', type: 'function', function: { name: 'called_function', arguments: { key: 'value' } } }
      ]
    },
    { role: 'tool', tool_call_id: 'call00000', name: 'called_function', content: 'returned_text' }
  ]
}

/**
 * The form that a template writes calls in, if it also renders tools and their results.
 * @param render the template; what it throws is a no
 * @returns null where it does not
 */
export function templateCallForm (render: (messages: readonly object[], tools: readonly object[]) => string): CallForm
  | null {
  let text: string
  try {
    text = render(probe.messages, probe.tools)
  } catch {
    return null
  }
  if (!text.includes('told_function') || !text.includes('returned_text')) return null
  return [hermesForm, llamaForm].find(({ begins, beforeName, afterName, ends }) => new RegExp(
    `${escaped(`${begins}${beforeName}called_function${afterName}`)}\\{\\s*"key":\\s*"value"\\s*\\}${escaped(ends)}`
  ).test(text)) ?? null
}
