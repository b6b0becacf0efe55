/**
 * The grammar matcher, compiled to WebAssembly. The package is CommonJS that calls itself an ES module, so it is loaded
 * by hand.
 */
import { readFileSync } from 'node:fs'
import Module, { createRequire } from 'node:module'
import type * as XGrammar from '@mlc-ai/web-xgrammar'

type Compilable = Module & { _compile (source: string, path: string): void }

const path = createRequire(import.meta.url).resolve('@mlc-ai/web-xgrammar')
const module = new Module(path) as Compilable
module.filename = path
module._compile(readFileSync(path, 'utf8'), path)

export const { GrammarCompiler, GrammarMatcher, TokenizerInfo } = module.exports as typeof XGrammar
