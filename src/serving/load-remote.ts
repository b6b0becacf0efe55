/** Makes a served model of an inference engine elsewhere: its texts are read here, its tokens are drawn there. */
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { isAbsolute } from 'node:path'
import { secret } from '../config.js'
import type { KvBudget } from '../engine/model-runtime.js'
import { RequestError } from '../errors.js'
import { openTexts } from '../models/formats/checkpoint.js'
import type { TextModel } from '../models/model.js'
import { resolveTexts } from '../models/store/model-store.js'
import { packageVersion } from '../package-root.js'
import { askForFiles, connectEngine, type ConnectOptions } from '../policies/remote/connect.js'
import type { RemoteEngine } from '../policies/remote/remote-engine.js'
import type { Config } from '../settings.js'
import { AdmissionQueue } from './admission-queue.js'
import {
  givenTemplate, givenTokenizer, refuseModels, tokenizerSetting, type NamedModel, type RemoteAddress
} from './model-names.js'

/** A model on an engine elsewhere, and the places there that its requests share. */
export interface RemoteRuntime {
  readonly model: TextModel
  readonly remote: RemoteEngine
  /** Counts answers that may grow at the same time, not tokens: how much KV there is, the engine knows. */
  readonly kvBudget: KvBudget
}

/** @throws RequestError for a variable that is named and not set */
function apiKeyOf ({ policyApiKeyEnv: variable }: Config): string | null {
  if (variable === '') return null
  const key = secret(variable)
  if (key !== null && /^[!-~]+$/.test(key)) return key
  // Who gives the key itself here must not find it in a log.
  const shown = /^[A-Z_][A-Z0-9_]*$/.test(variable) ? variable : '…'
  throw new RequestError('invalid_request', 'policy-api-key-env must name an environment variable that holds a key ' +
    `of visible ASCII characters; got ${shown}`, { param: 'policy-api-key-env' })
}

/** Same fingerprint and seed, same tokens, as far as the engine keeps to that. */
function fingerprintOf ({ report }: RemoteEngine, template: string | undefined): string {
  const { server, model, protocol, contextLength } = report
  const parts = [packageVersion, server, model, protocol, contextLength, template ?? '']
  return `fl_${createHash('sha256').update(parts.join('|')).digest('hex').slice(0, 12)}`
}

/**
 * The longest context: the engine's, or less where the settings say so.
 * @throws RequestError for more
 */
function contextLengthOf ({ contextLength: asked }: Config, { report: { contextLength } }: RemoteEngine): number {
  if (asked <= contextLength) return asked === 0 ? contextLength : asked
  throw new RequestError('invalid_request',
    `context-length must be at most the engine's limit of ${contextLength}; got ${asked}`, { param: 'contextLength' })
}

/**
 * The files of an engine's model, where it runs on this machine. Texts are read here, since engines tokenise whole
 * texts only: what callers write could pass for control tokens, and what bytes a token stands for they do not tell.
 * @throws RequestError where they are not here
 */
async function filesOfEngine (name: string, address: RemoteAddress, options: ConnectOptions): Promise<string> {
  const place = await askForFiles(address, options)
  if (place !== null && isAbsolute(place) && existsSync(place)) return place
  const said =
    place === null ? 'does not say' : `has them as ${JSON.stringify(place.slice(0, 200))}, which is no path on this machine`
  throw refuseModels(tokenizerSetting, `must say where the tokenizer files of ${name} are: the engine ${said}; give a ` +
    'folder with tokenizer.json and tokenizer_config.json, a GGUF file, or a name in models/')
}

/** @throws RequestError for an engine that does not answer or fit, and a tokenizer that cannot be read */
export async function loadRemote (
  config: Config, { name, remote: address }: NamedModel & { readonly remote: RemoteAddress },
  onProgress: (message: string) => void
): Promise<RemoteRuntime> {
  const template = await givenTemplate(config, name)
  const { policyTimeoutMs: timeoutMs, policyTotalTimeoutMs: totalTimeoutMs, maxSequences } = config
  const options = {
    apiKey: apiKeyOf(config), timeoutMs, totalTimeoutMs, maxCalls: maxSequences, waitMs: timeoutMs, onProgress
  }
  const given = givenTokenizer(config, name) ?? await filesOfEngine(name, address, options)
  const { path } = await resolveTexts(given, { cacheDir: config.cacheDir, onProgress })
  const texts = await openTexts(path, template === undefined ? undefined : { source: template, toolSource: null })
  const remote = await connectEngine(address, texts.tokenizer, options)
  return {
    model: {
      id: name,
      path,
      contextLength: contextLengthOf(config, remote),
      fingerprint: fingerprintOf(remote, template),
      created: Math.floor(Date.now() / 1000),
      ...texts
    },
    remote,
    kvBudget: new AdmissionQueue({
      maxTokens: maxSequences * address.urls.length,
      bytesPerToken: 1,
      contextLength: 1,
      maxQueued: config.maxQueuedRequests,
      setting: 'max-sequences'
    })
  }
}
