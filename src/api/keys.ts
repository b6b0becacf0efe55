/**
 * Who calls: API keys, kept as SHA-256 hashes, with a role, a part of the prefix cache of their own and a limit of requests at a time. Without
 * keys everybody is the same caller.
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import { Type } from 'typebox'
import type { Config } from '../config.js'
import { readDataFile } from '../config-file.js'
import { RequestError } from '../errors.js'
import { checkFields, refuse } from '../validation.js'

export type Role = 'inference' | 'admin'

const keySchema = Type.Object({
  name: Type.String({ minLength: 1, maxLength: 64 }),
  sha256: Type.String({ minLength: 64, maxLength: 64 }),
  role: Type.Enum(['inference', 'admin'], { default: 'inference' }),
  max_requests: Type.Union([Type.Integer({ minimum: 1, maximum: 1 << 20 }), Type.Null()], { default: null })
}, { additionalProperties: false })

const sha256 = (text: string): Buffer => createHash('sha256').update(text).digest()

export class Caller {
  readonly name: string
  readonly role: Role
  readonly #salt: string
  readonly #mostRequests: number | null
  #running = 0

  /**
   * @param salt what its cached prompts are kept under, beside the salt of a request
   * @param mostRequests at a time; null is no limit
   */
  constructor (name: string, role: Role, salt: string, mostRequests: number | null) {
    this.name = name
    this.role = role
    this.#salt = salt
    this.#mostRequests = mostRequests
  }

  /** Salt of a request's cached prompts: no two callers share any. */
  saltOf (requestSalt: string): string { return this.#salt === '' ? requestSalt : `${this.#salt}:${requestSalt}` }

  /**
   * Begins a request. @returns what ends it; may be called more than once
   * @throws RequestError rate_limit_exceeded at the limit
   */
  take (): () => void {
    if (this.#mostRequests !== null && this.#running >= this.#mostRequests) {
      throw new RequestError('rate_limit_exceeded', `the API key ${this.name} may run ${this.#mostRequests} requests at a time`, { retryAfterMs: 1000 })
    }
    this.#running++
    let held = true
    return () => {
      if (held) this.#running--
      held = false
    }
  }
}

interface Key { readonly hash: Buffer, readonly caller: Caller }

function keyOf (name: string, hash: Buffer, role: Role, mostRequests: number | null): Key {
  return { hash, caller: new Caller(name, role, hash.toString('hex').slice(0, 32), mostRequests) }
}

function keysOfFile (path: string, most: number | null): Key[] {
  const list = readDataFile(path)
  if (!Array.isArray(list)) throw refuse(path, 'must hold a list of keys', list)
  return list.map((entry: unknown, index) => {
    const where = `${path}[${index}]`
    if (typeof entry !== 'object' || entry === null || Array.isArray(entry)) throw refuse(where, 'must be an object with name and sha256', typeof entry)
    const { name, sha256: hash, role, max_requests: own } = checkFields(keySchema, entry as Record<string, unknown>, where)
    if (!/^[\da-f]{64}$/.test(hash)) throw new RequestError('invalid_request', `${where}.sha256 must be 64 lower-case hex digits`, { param: `${where}.sha256` })
    return keyOf(name, Buffer.from(hash, 'hex'), role as Role, own ?? most)
  })
}

/** Shortest key taken from the environment, characters: hashes of shorter ones could be guessed. */
const leastKeyLength = 16

function keysOfSetting (keys: readonly string[], setting: string, role: Role, most: number | null): Key[] {
  return keys.map((key, index) => {
    if (key.length < leastKeyLength) throw new RequestError('invalid_request', `${setting} must hold keys of at least ${leastKeyLength} characters; number ${index + 1} has ${key.length}`)
    return keyOf(`${setting} ${index + 1}`, sha256(key), role, most)
  })
}

export class Keys {
  readonly #keys: readonly Key[]
  readonly #anyone = new Caller('anyone', 'admin', '', null)

  /** @throws RequestError for a file that cannot be read, short keys, names or keys that are given twice */
  constructor (config: Pick<Config, 'apiKeys' | 'adminKeys' | 'apiKeysFile' | 'maxRequestsPerKey'>) {
    const most = config.maxRequestsPerKey === 0 ? null : config.maxRequestsPerKey
    this.#keys = [
      ...keysOfSetting(config.apiKeys, 'api-keys', 'inference', most),
      ...keysOfSetting(config.adminKeys, 'admin-keys', 'admin', most),
      ...config.apiKeysFile === '' ? [] : keysOfFile(config.apiKeysFile, most)
    ]
    const names = this.#keys.map(({ caller }) => caller.name)
    const hashes = this.#keys.map(({ hash }) => hash.toString('hex'))
    const twice = this.#keys.findIndex((_, index) => names.indexOf(names[index]!) !== index || hashes.indexOf(hashes[index]!) !== index)
    if (twice >= 0) throw new RequestError('invalid_request', `the API key ${names[twice]} has a name or a key that another one has`)
  }

  /** Whether callers need a key. */
  get areNeeded (): boolean { return this.#keys.length > 0 }

  /**
   * The caller that an Authorization header names. Every key is compared, in constant time.
   * @throws RequestError invalid_api_key
   */
  find (authorization: string | undefined): Caller {
    if (!this.areNeeded) return this.#anyone
    const given = /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1]
    if (given === undefined) throw new RequestError('invalid_api_key', 'An API key is needed: send the header Authorization: Bearer KEY')
    const hash = sha256(given)
    const found = this.#keys.filter(key => timingSafeEqual(key.hash, hash))
    if (found.length === 0) throw new RequestError('invalid_api_key', 'The API key is not known to this server')
    return found[0]!.caller
  }
}
