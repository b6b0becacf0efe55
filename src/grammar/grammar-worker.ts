/**
 * A grammar thread: writes and compiles grammars, follows answers through them, says which tokens may come next. Slow
 * and broken grammars hold up nobody but each other.
 */
import { parentPort, workerData } from 'node:worker_threads'
import type { CompiledGrammar, GrammarMatcher as Matcher } from '@mlc-ai/web-xgrammar'
import { RequestError } from '../errors.js'
import type { Operation, Reply, Vocabulary } from './grammar-protocol.js'
import { grammarText, type GrammarSource } from './grammar-source.js'
import { GrammarCompiler, GrammarMatcher, memory, TokenizerInfo } from './xgrammar.js'

if (!parentPort) throw new Error('this file runs in a Worker')
const port = parentPort
const { bytes, ends, endTokens } = workerData as Vocabulary
const texts = Array.from(ends, (end, token) => bytes.subarray(token === 0 ? 0 : ends[token - 1]!, end))
// The binding takes bytes where its types say text.
const tokenizer = await TokenizerInfo.createTokenizerInfo(texts as unknown as string[], 'raw', false, texts.length,
  [...endTokens])
const compiler = await GrammarCompiler.createGrammarCompiler(tokenizer, false)
const grammars = new Map<number, CompiledGrammar>()
const answers = new Map<number, Matcher>()

async function matcherOf (answer: number, grammar: number): Promise<Matcher> {
  const matcher = answers.get(answer) ?? await GrammarMatcher.createGrammarMatcher(grammars.get(grammar)!)
  answers.set(answer, matcher)
  return matcher
}

async function allowedNext (matcher: Matcher): Promise<Reply> {
  return { allowed: await matcher.getNextTokenBitmask(), memoryBytes: memory.bytes }
}

/** @returns null where the caller's mistake is told */
function written (source: GrammarSource): { text: string } | { refused: RequestError } {
  try {
    return { text: grammarText(source) }
  } catch (error) {
    if (error instanceof RequestError) return { refused: error }
    throw error
  }
}

async function compile (grammar: number, source: GrammarSource): Promise<Reply> {
  const result = written(source)
  if ('refused' in result) return { refused: result.refused.toData() }
  const compiled = await compiler.compileGrammar(result.text)
  grammars.set(grammar, compiled)
  const matcher = await GrammarMatcher.createGrammarMatcher(compiled)
  const reply = await allowedNext(matcher)
  matcher.dispose()
  return reply
}

async function perform (operation: Operation): Promise<Reply | null> {
  switch (operation.type) {
    case 'compile': return compile(operation.grammar, operation.source)
    case 'advance': {
      const matcher = await matcherOf(operation.answer, operation.grammar)
      for (const token of operation.tokens) {
        if (!matcher.acceptToken(token)) {
          return { failed: `token ${token} is not what the grammar allows`, isTooLarge: false }
        }
      }
      return allowedNext(matcher)
    }
    case 'close':
      answers.get(operation.answer)?.dispose()
      answers.delete(operation.answer)
      return null
    case 'forget':
      grammars.get(operation.grammar)?.dispose()
      grammars.delete(operation.grammar)
      return null
  }
}

const send = (
  reply: Reply
): void => { port.postMessage(reply, 'allowed' in reply ? [reply.allowed.buffer as ArrayBuffer] : []) }

/** Operations of earlier messages come first. */
let before = Promise.resolve()

async function performAll (operations: readonly Operation[]): Promise<void> {
  try {
    for (const operation of operations) {
      const reply = await perform(operation)
      if (reply) send(reply)
      if (reply && 'failed' in reply) return port.close()
    }
  } catch (error) {
    // The matcher's memory may be broken: a new thread has its own.
    const failed = error instanceof Error ? error.message : `the matcher gave up (${String(error)})`
    send({ failed, isTooLarge: memory.wasRefused })
    port.close()
  }
}

port.on('message', (operations: readonly Operation[]) => { before = before.then(() => performAll(operations)) })
send({ ready: true })
