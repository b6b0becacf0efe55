/**
 * Runs what matches a model file's own patterns in bounded time. Patterns of published tokenizers are known to be
 * linear; others are tried when the model is loaded, and stopped where a text takes them too long: JavaScript's engine
 * backtracks.
 */
import { createContext, Script } from 'node:vm'
import { RequestError } from '../../errors.js'

/** How published byte-level tokenizers cut texts. */
export const patterns = {
  gpt2: "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+",
  llama3: "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| " +
    '?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+',
  qwen2: "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| " +
    '?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+',
  number: '\\p{N}'
} as const

const known: ReadonlySet<string> = new Set(Object.values(patterns))

/** A file's pattern may take so long for a text: a base, and for every thousand characters, ms. */
const [baseMs, kiloMs] = [250, 2]
/** How long a pattern may take for all the texts that it is tried on, ms; and how long these are, characters. */
const [trialMs, trialLength] = [1000, 4000]

const context = createContext({ work: undefined as (() => void) | undefined }) as { work: (() => void) | undefined }
const script = new Script('work()')

/** Runs something for at most some milliseconds. @returns whether it ended by itself */
function endsWithin (timeout: number, work: () => void): boolean {
  context.work = work
  try {
    script.runInContext(context, { timeout: Math.ceil(timeout) })
    return true
  } catch (error) {
    if ((error as { code?: unknown }).code === 'ERR_SCRIPT_EXECUTION_TIMEOUT') return false
    throw error
  } finally {
    context.work = undefined
  }
}

/** Runs of what a pattern names, and of what most do, with an end that most do not take. */
function trialTexts (pattern: string): string[] {
  const named = new Set([...pattern.replaceAll(/\\[pP]\{[^}]*\}|\\./g, '')].filter(one => /[\p{L}\p{N}]/u.test(one)))
  const parts = ['a', 'A', '1', ' ', '\n', '\r', '.', '\'', '_', '中', 'a1', 'a ', 'aA', ' \n',
    ...[...named].slice(0, 64)]
  return parts.flatMap(part => ['!', '\u{10FFFF}'].map(end => part.repeat(trialLength / part.length) + end))
}

/**
 * Texts of every `Regex` anywhere in a part of a tokenizer.json that are not known to be linear.
 */
export function unknownPatterns (part: unknown): string[] {
  if (typeof part !== 'object' || part === null) return []
  return Object.entries(part).flatMap(([name, value]) =>
    name === 'Regex' && typeof value === 'string' ? known.has(value) ? [] : [value] : unknownPatterns(value))
}

/**
 * Runs what uses a file's patterns on texts that make careless ones slow.
 * @param path of the file, for messages
 * @param use what is run on a text
 * @throws RequestError that names the patterns that take too long
 */
export function tryPatterns (path: string, unknown: readonly string[], use: (text: string) => void): void {
  const texts = trialTexts(unknown.join(''))
  if (unknown.length > 0 && !endsWithin(trialMs, () => { for (const text of texts) use(text) })) {
    throw new RequestError('invalid_request', `${path}: tokenizer.json has the pattern ` +
      `${unknown.map(pattern => JSON.stringify(pattern.slice(0, 200))).join(' or ')}, which takes more than ` +
      `${trialMs} ms for texts of ${trialLength} characters`, { param: 'model' })
  }
}

/**
 * What uses a file's patterns, stopped where a text takes too long.
 * @param unknown the patterns that are not known to be linear: without any, it runs as it is
 */
export function boundedUse<T> (unknown: readonly string[], use: (text: string) => T): (text: string) => T {
  if (unknown.length === 0) return use
  return text => {
    let result: T
    const limit = baseMs + kiloMs * text.length / 1000
    const ends = (): boolean => endsWithin(limit, () => { result = use(text) })
    // A second time, since a thread of a busy machine may just not have been let run.
    if (ends() || ends()) return result!
    throw new RequestError('invalid_request', `the model's tokenizer takes more than ${Math.round(limit)} ms to cut a ` +
      `text of ${text.length} characters by its own pattern`)
  }
}
