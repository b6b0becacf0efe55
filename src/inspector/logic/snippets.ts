/** A request as other programs would send it. */
import type { ChatBody } from './request.js'

export type Language = 'curl' | 'python' | 'typescript'
export const languages: ReadonlyArray<readonly [language: Language, name: string]> =
  [['curl', 'curl'], ['python', 'Python'], ['typescript', 'TypeScript']]

const json = (value: unknown, indent: number): string => JSON.stringify(value, null, 2).replaceAll('\n',
  `\n${' '.repeat(indent)}`)

/** A JSON value as Python writes it. */
function python (value: unknown, indent: number): string {
  const inner = ' '.repeat(indent + 4)
  if (value === null) return 'None'
  if (typeof value === 'boolean') return value ? 'True' : 'False'
  if (Array.isArray(value)) {
    return value.length === 0
      ? '[]'
      : `[\n${value.map(one => `${inner}${python(one, indent + 4)},\n`).join('')}${' '.repeat(indent)}]`
  }
  if (typeof value === 'object') {
    const fields = Object.entries(value).map(([name, one]) => `${inner}${JSON.stringify(name)}: ${python(one, indent + 4)},\n`)
    return fields.length === 0 ? '{}' : `{\n${fields.join('')}${' '.repeat(indent)}}`
  }
  return JSON.stringify(value)
}

/** Fields that OpenAI's Python client has no parameter for: they go in `extra_body`. */
const extraNames = ['alignment', 'continue_final_message', 'top_k', 'min_p', 'repetition_penalty', 'min_tokens',
  'ignore_eos']

function pythonCode (body: ChatBody, base: string, needsKey: boolean): string {
  const entries = Object.entries(body)
  const known = entries.filter(([name]) => !extraNames.includes(name))
  const extra = entries.filter(([name]) => extraNames.includes(name))
  const parameters = known.map(([name, value]) => `    ${name}=${python(value, 4)},\n`).join('')
  const more = extra.length === 0 ? '' : `    extra_body=${python(Object.fromEntries(extra), 4)},\n`
  const key = needsKey ? 'os.environ["FAIRLEAD_API_KEY"]' : '"none"'
  return `${needsKey ? 'import os\n' : ''}from openai import OpenAI\n\n` +
    `client = OpenAI(base_url="${base}/v1", api_key=${key})\n` +
    `answer = client.chat.completions.create(\n${parameters}${more})\nprint(answer.choices[0].message.content)\n`
}

function typescriptCode (body: ChatBody, base: string, needsKey: boolean): string {
  const key = needsKey ? 'process.env.FAIRLEAD_API_KEY' : "'none'"
  return "import OpenAI from 'openai'\nimport type {} from 'fairlead/openai'\n\n" +
    `const client = new OpenAI({ baseURL: '${base}/v1', apiKey: ${key} })\n` +
    `const answer = await client.chat.completions.create(${json(body, 0)})\n` +
    'console.log(answer.choices[0].message.content)\n'
}

function curlCode (body: ChatBody, base: string, needsKey: boolean): string {
  const quoted = json(body, 0).replaceAll("'", String.raw`'\''`)
  return `curl -s ${base}/v1/chat/completions \\\n  -H 'content-type: application/json' \\\n` +
    `${needsKey ? '  -H "authorization: Bearer $FAIRLEAD_API_KEY" \\\n' : ''}  -d '${quoted}'\n`
}

/** @param base address of the server, without a slash at its end @param needsKey whether a key was sent */
export function snippet (language: Language, body: ChatBody, base: string, needsKey: boolean): string {
  switch (language) {
    case 'curl': return curlCode(body, base, needsKey)
    case 'python': return pythonCode(body, base, needsKey)
    case 'typescript': return typescriptCode(body, base, needsKey)
  }
}
