/** The pages of documentation, as tests read them: their text and the examples in it. */
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { packageRoot } from '../../src/package-root.js'

/** The text of a page, given by its path from the package's root. */
export const page = (path: string): string => readFileSync(join(packageRoot, path), 'utf8')

/** The fenced blocks of a language in a page, in their order. */
export const examples = (path: string, language: string): string[] =>
  [...page(path).matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, 'gms'))].map(match => match[1]!)

/** Every page that users read. */
export const pages: readonly string[] = ['README.md', 'CONTRIBUTING.md', 'examples/README.md',
  ...readdirSync(join(packageRoot, 'docs')).filter(name => name.endsWith('.md')).map(name => `docs/${name}`)]

/** The commands of a block of shell, each as a line: what is quoted or continued may have several. */
export function statements (block: string): string[] {
  const joined = block.replaceAll('\\\n', ' ')
  const found: string[] = []
  let [quote, from] = ['', 0]
  for (let at = 0; at <= joined.length; at++) {
    const character = joined[at] ?? '\n'
    if (quote !== '') {
      if (character === quote) quote = ''
    } else if (character === '"' || character === "'") quote = character
    else if ('\n&|;'.includes(character)) {
      found.push(joined.slice(from, at).trim())
      from = at + 1
    }
  }
  return found.filter(statement => statement !== '' && !statement.startsWith('#'))
}
