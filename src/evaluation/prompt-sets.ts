/** The prompts that evaluations ask: built-in sets, or a file of one's own. */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { RequestError } from '../errors.js'
import { packageRoot } from '../package-root.js'
import { readTextFile } from '../text-file.js'
import { refuse } from '../validation.js'

const folder = join(packageRoot, 'models/evaluation/prompts')

/** Names of the built-in sets. */
export const promptSetNames: readonly string[] = readdirSync(folder).map(file => file.replace(/\.json$/, '')).sort()

/** A line of a file: a text, or an object with one. */
function promptOf (value: unknown, where: string): string {
  const prompt = typeof value === 'object' && value !== null && 'prompt' in value ? value.prompt : value
  if (typeof prompt !== 'string' ||
      prompt.trim() === '') throw refuse(where, 'must be a prompt, or an object with one as prompt', value)
  return prompt
}

function parse (text: string, file: string): string[] {
  const values = (source: string, where: string): unknown => {
    try {
      return JSON.parse(source)
    } catch (cause) {
      throw new RequestError('invalid_request', `${where} is not JSON: ${cause instanceof Error ? cause.message : ''}`,
        { cause })
    }
  }
  if (text.trimStart().startsWith('[')) {
    return (values(text, file) as unknown[]).map((value, index) => promptOf(value, `${file}: [${index}]`))
  }
  return text.split('\n').flatMap((line, index) =>
    line.trim() === '' ? [] : [promptOf(values(line, `${file}:${index + 1}`), `${file}:${index + 1}`)])
}

/**
 * Prompts of a built-in set, or of a file: a JSON list, or JSON lines, of texts or of objects with a field `prompt`.
 * @throws RequestError for a name or file that is not there, and naming the entry that is no prompt or is there twice
 */
export function loadPrompts (name: string): string[] {
  const file = promptSetNames.includes(name) ? join(folder, `${name}.json`) : name
  if (!existsSync(file)) throw refuse('--prompts', `must be one of ${promptSetNames.join(', ')}, or a file`, name)
  const prompts = parse(readTextFile(file), file)
  const twice = prompts.find((prompt, index) => prompts.indexOf(prompt) !== index)
  if (twice !== undefined) throw refuse(file, 'must hold each prompt once', twice)
  if (prompts.length === 0) throw refuse(file, 'must hold at least one prompt', [])
  return prompts
}
