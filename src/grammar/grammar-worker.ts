/**
 * The grammar thread: compiles grammars, follows answers through them, says which tokens may come next. Slow and broken
 * grammars hold up nobody but each other.
 */
import { parentPort, workerData } from 'node:worker_threads'
import type { CompiledGrammar, GrammarMatcher as Matcher } from '@mlc-ai/web-xgrammar'
import type { Operation, Reply, Vocabulary } from './grammar-protocol.js'
import { GrammarCompiler, GrammarMatcher, TokenizerInfo } from './xgrammar.js'

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

async function allowedFirst (grammar: CompiledGrammar): Promise<Int32Array> {
  const matcher = await GrammarMatcher.createGrammarMatcher(grammar)
  const allowed = await matcher.getNextTokenBitmask()
  matcher.dispose()
  return allowed
}

async function perform (operation: Operation): Promise<Reply | null> {
  switch (operation.type) {
    case 'compile': {
      const compiled = await compiler.compileGrammar(operation.text)
      grammars.set(operation.grammar, compiled)
      return { allowed: await allowedFirst(compiled) }
    }
    case 'advance': {
      const matcher = await matcherOf(operation.answer, operation.grammar)
      for (const token of operation.tokens) {
        if (!matcher.acceptToken(token)) return { failed: `token ${token} is not what the grammar allows` }
      }
      return { allowed: await matcher.getNextTokenBitmask() }
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
    send({ failed: error instanceof Error ? error.message : `the matcher gave up (${String(error)})` })
    port.close()
  }
}

port.on('message', (operations: readonly Operation[]) => { before = before.then(() => performAll(operations)) })
send({ ready: true })
