/** The pages of documentation, as tests read them: their text and the examples in it. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { packageRoot } from '../../src/package-root.js'

/** The text of a page, given by its path from the package's root. */
export const page = (path: string): string => readFileSync(join(packageRoot, path), 'utf8')

/** The fenced blocks of a language in a page, in their order. */
export const examples = (path: string, language: string): string[] =>
  [...page(path).matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, 'gms'))].map(match => match[1]!)
