/**
 * The grammar matcher, compiled to WebAssembly. The package is CommonJS that calls itself an ES module, so it is loaded
 * by hand. Its memory only grows, so it is watched and bounded here.
 */
import { readFileSync } from 'node:fs'
import Module, { createRequire } from 'node:module'
import type * as XGrammar from '@mlc-ai/web-xgrammar'

type Compilable = Module & { _compile (source: string, path: string): void }

/** Most memory of the matcher in one thread, bytes. */
const maxMemoryBytes = 512 << 20

/** Bytes of a page, in which memory grows. */
const pageBytes = 1 << 16

/** What is used of WebAssembly here. */
interface Memory { readonly buffer: ArrayBuffer, grow (pages: number): number }
interface Instantiated { readonly instance: { readonly exports: Readonly<Record<string, unknown>> } }
interface WebAssembly {
  readonly Memory: new (descriptor: { initial: number }) => Memory
  instantiate (source: Uint8Array, imports: object): Promise<Instantiated>
}

const { WebAssembly: assembly } = globalThis as unknown as { WebAssembly: WebAssembly }

let own: Memory | null = null

/** The matcher's memory in this thread. */
export const memory = {
  /** Whether more was asked for than there may be. */
  wasRefused: false,
  get bytes (): number { return own?.buffer.byteLength ?? 0 }
}

function bound ({ instance }: Instantiated): void {
  const found = Object.values(instance.exports).find(one => one instanceof assembly.Memory) as Memory | undefined
  if (!found) throw new Error('the matcher has no memory of its own')
  const grow = found.grow.bind(found)
  found.grow = pages => {
    if (memory.bytes + pages * pageBytes > maxMemoryBytes) {
      memory.wasRefused = true
      throw new RangeError('the matcher may have no more memory')
    }
    return grow(pages)
  }
  own = found
}

// The package instantiates its module when it is first used, and keeps it to itself.
const instantiate = assembly.instantiate.bind(assembly)
assembly.instantiate = async (source, imports) => {
  const result = await instantiate(source, imports)
  bound(result)
  return result
}

const path = createRequire(import.meta.url).resolve('@mlc-ai/web-xgrammar')
const module = new Module(path) as Compilable
module.filename = path
module._compile(readFileSync(path, 'utf8'), path)

export const { GrammarCompiler, GrammarMatcher, TokenizerInfo } = module.exports as typeof XGrammar
