/**
 * What is run on which processor, and how its end is read. Knows neither how it is started there nor what it checks.
 */
import type { Survey } from '../src/models/self-test/survey.js'
import type { Ended } from './child.js'
import { processors, type Processor } from './machines.js'

/** A program to run on a processor. */
export interface Check {
  readonly processor: Processor
  readonly title: string
  /** What Node is started with, in the project's root. */
  readonly args: readonly string[]
  readonly limitSeconds: number
  /** What a program that ended well found, or null if it did nothing. */
  readonly read: (output: string) => string | null
}

/** Whether ONNX Runtime's operators are right on a processor, and formats usable. */
function probe (processor: Processor): Check {
  // More threads than key heads, so that shared prompts are read in pieces.
  const args = ['dist/fairlead/fairlead.js', 'doctor', '--json', '--threads', '4']
  return { processor, title: 'doctor', args, limitSeconds: 150, read: readFormats }
}

/** A test file, started as a program: `node --test` would run it on this machine's own processor. */
function tests (processor: Processor, title: string, file: string, options: readonly string[] = []): Check {
  const args = ['--test-reporter=spec', ...options, `dist/tests/integration/${file}.test.js`]
  return { processor, title, args, limitSeconds: 450, read: readTests }
}

const crowd = '--test-name-pattern=bitwise the same alone, among 31 others, and with a warm prefix cache'

/** The longest first, so that those that run at the same time end together. */
export const checks: readonly Check[] = [
  tests(processors.neoverseN1, 'weight formats', 'weight-formats'),
  tests(processors.neoverseN1, 'crowd of 32', 'engine', [crowd]),
  ...Object.values(processors).map(probe)
]

/** From what `doctor --json` prints. */
function readFormats (output: string): string | null {
  const { formats, operators } = JSON.parse(output) as Survey
  const unusable = Object.entries(formats).filter(([, used]) => used === null).map(([format]) => format)
  if (unusable.length > 0) throw new Error(`formats that cannot be used: ${unusable.join(', ')}`)
  const failing = operators.filter(({ operator, passed }) => operator.startsWith('attention') && !passed)
  if (failing.length > 0) throw new Error(`fails: ${failing.map(({ operator }) => operator).join(', ')}`)
  const lines = Object.entries(formats).map(([format, used]) => `\n    ${format}: ${used!.join(', ')}`)
  return lines.length === 0 ? null : `${lines.length} formats${lines.join('')}`
}

/** From the summary of Node's test runner. */
function readTests (output: string): string | null {
  const passed = Number(/^ℹ pass (\d+)$/m.exec(output)?.[1] ?? 0)
  return passed === 0 ? null : `${passed} test${passed === 1 ? '' : 's'} passed`
}

/** Whether a check passed, and what it found or why it did not. */
export interface Verdict {
  readonly passed: boolean
  readonly found: string
}

export function judge ({ read }: Check, { code, signal, tookTooLong, output }: Ended): Verdict {
  if (tookTooLong) return { passed: false, found: 'took too long' }
  if (code !== 0) return { passed: false, found: signal ?? `exit code ${code}` }
  try {
    const found = read(output)
    return { passed: found !== null, found: found ?? 'nothing ran' }
  } catch (error) {
    return { passed: false, found: (error as Error).message }
  }
}
