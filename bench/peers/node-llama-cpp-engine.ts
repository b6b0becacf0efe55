/**
 * node-llama-cpp as one of the engines measured. Lies outside this package, so its types are written out as far as they
 * are used.
 *   node node-llama-cpp-engine.js FOLDER MODEL.gguf THREADS
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { answerTasks } from './answering.js'
import type { Measured } from './protocol.js'

interface Sequence {
  readonly nextTokenIndex: number
  evaluate (tokens: readonly number[], options: {
    temperature: number, minP: number, topK: number, topP: number, seed: number, yieldEogToken: boolean
  }): AsyncGenerator<number>
  clearHistory (): Promise<void>
  evaluateWithoutGeneratingNewTokens (tokens: readonly number[]): Promise<void>
  /** Internal; what is public goes through a file. */
  _copyStateFromOtherSequence (other: Sequence, upToTokenIndex: number): Promise<boolean>
}
interface Context { getSequence (): Sequence, dispose (): Promise<void> }
interface Model {
  createContext (options: {
    sequences: number, contextSize: number, batchSize: number, threads: number, flashAttention: boolean
  }): Promise<Context>
}
interface Llama { loadModel (options: { modelPath: string }): Promise<Model> }
interface Library { getLlama (options: { gpu: false, build: 'never', maxThreads: number }): Promise<Llama> }

const plainSampling = { temperature: 1, minP: 0, topK: 0, topP: 1, yieldEogToken: true }
let runs = 0

/**
 * The prompt is read once, all but its last token, and copied to every sequence; the library batches what they ask for
 * together.
 */
async function run (sequences: readonly Sequence[], prompt: readonly number[], newTokens: number): Promise<Measured> {
  const seed = ++runs
  const root = sequences[0]!
  for (const sequence of sequences) await sequence.clearHistory()
  const started = performance.now()
  await root.evaluateWithoutGeneratingNewTokens(prompt.slice(0, -1))
  for (const sequence of sequences.slice(1)) await sequence._copyStateFromOtherSequence(root, prompt.length - 1)
  let first = 0
  const drawn = await Promise.all(sequences.map(async (sequence, index) => {
    const tokens: number[] = []
    for await (const token of sequence.evaluate(prompt.slice(-1), { ...plainSampling, seed: seed * 1000 + index })) {
      if (tokens.push(token) === 1) first = performance.now()
      if (tokens.length === newTokens) break
    }
    return tokens
  }))
  return {
    firstMs: first - started,
    totalMs: performance.now() - started,
    promptTokens: root.nextTokenIndex - (newTokens - 1),
    drawn
  }
}

const [folder, modelPath, threads] = process.argv.slice(2) as [string, string, string]
const home = join(folder, 'node_modules', 'node-llama-cpp')
const library = await import(pathToFileURL(join(home, 'dist', 'index.js')).href) as Library
const llama = await library.getLlama({ gpu: false, build: 'never', maxThreads: Number(threads) })
const model = await llama.loadModel({ modelPath })
const { version } = JSON.parse(readFileSync(join(home, 'package.json'), 'utf8')) as { version: string }
await answerTasks({
  about: { version, configuration: 'a sequence per candidate, prompt state copied' },
  withRun: async ({ candidates, prompt: { length }, newTokens: limit }, use) => {
    const lengthLimit = length + limit
    const context = await model.createContext({
      sequences: candidates,
      contextSize: lengthLimit,
      batchSize: Math.max(512, lengthLimit),
      threads: Number(threads),
      flashAttention: true
    })
    try {
      const sequences = Array.from({ length: candidates }, () => context.getSequence())
      return await use((prompt, newTokens) => run(sequences, prompt, newTokens))
    } finally {
      await context.dispose()
    }
  }
})
