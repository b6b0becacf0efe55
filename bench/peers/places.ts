/**
 * Makes ready what benches of other engines need: the engines installed, the model in their encodings, its vocabulary.
 */
import { join, relative } from 'node:path'
import type { Config } from '../../src/settings.js'
import { RequestError } from '../../src/errors.js'
import { encodeChat } from '../../src/models/tokenizer/chat-template.js'
import { openCheckpoint } from '../../src/models/formats/checkpoint.js'
import { IncrementalDetokenizer } from '../../src/models/tokenizer/detokenizer.js'
import { packageRoot } from '../../src/package-root.js'
import type { Engine, Places } from './engines.js'
import { installEngines, installNodeLlamaCpp, installProxies, requantise, type Say } from './install.js'
import type { EncodeChat } from './scenarios.js'

/** The folder the peers are kept in. @throws RequestError if it lies inside the repository */
function peersFolder (config: Config): string {
  const folder = join(config.cacheDir, 'peers')
  if (!relative(packageRoot, folder).startsWith('..')) {
    throw new RequestError('invalid_request', '--cache-dir must lie outside the repository, for peers are installed ' +
      `into it; got ${JSON.stringify(config.cacheDir)}`, { param: 'cacheDir' })
  }
  return folder
}

/**
 * Installs what the engines need.
 * @param proxies whether libraries that drive llama-cpp-python's server are wanted, too; its model is in Q4_0, its
 * fastest
 */
export async function prepare (
  config: Config, model: { readonly path: string, readonly sha256: string }, wanted: readonly Engine[], say: Say,
  proxies = false
): Promise<Places> {
  const folder = peersFolder(config)
  const encodings = new Set([...wanted.map(engine => engine.weights), ...proxies ? ['Q4_0' as const] : []])
  const inPython = proxies || encodings.size > 1 ||
    wanted.some(engine => engine.family === 'llama.cpp' || engine.family === 'openvino')
  const python = inPython ? await installEngines(folder, say) : ''
  if (proxies) await installProxies(folder, python, say)
  const nodeFolder =
    wanted.some(engine => engine.family === 'node-llama-cpp') ? await installNodeLlamaCpp(folder, say) : ''
  const models = { file: model.path, Q8_0: '', Q4_0: '' }
  for (const encoding of ['Q8_0', 'Q4_0'] as const) {
    if (encodings.has(encoding)) models[encoding] = await requantise(folder, python, model, encoding, say)
  }
  return { config, python, nodeFolder, models }
}

export interface Vocabulary {
  readonly size: number
  readonly encodeChat: EncodeChat
  /** The text of an answer's tokens. */
  readonly decode: (tokens: readonly number[]) => string
}

/** What the model's file says of text: the tokens of a chat, and how many there are. */
export async function readVocabulary (path: string): Promise<Vocabulary> {
  const { file, tokenizer, chatTemplate } = await openCheckpoint(path)
  await file.close()
  return {
    size: tokenizer.vocabularySize,
    encodeChat: message => encodeChat(chatTemplate, tokenizer, [{ role: 'user', content: message }]).tokens,
    decode (tokens) {
      const detokenizer = new IncrementalDetokenizer(token => tokenizer.tokenBytes(token))
      return tokens.map(token => detokenizer.push(token)).join('') + detokenizer.flush()
    }
  }
}
