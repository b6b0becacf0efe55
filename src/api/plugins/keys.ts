/**
 * Who calls: API keys, kept as SHA-256 hashes, with a role, a part of the prefix cache of their own and limits:
 * requests at a time, requests and generated tokens a minute. Without keys everybody is the same caller, without
 * limits; whose turn it is goes by address then, and the role admin is theirs only where nobody can call from another
 * machine.
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import { Type, type TInteger, type TNull, type TUnion } from 'typebox'
import { Checker, nullable } from '../../checker.js'
import type { Config } from '../../settings.js'
import { readDataFile } from '../../config-file.js'
import { RequestError } from '../../errors.js'
import { isObject, refuse } from '../../validation.js'
import { clientNetwork } from './client-network.js'
import { localRates } from '../../stores/local/rate-limit.js'
import type { Rate, Rates, RateState } from '../../stores/rates.js'
import { durationText, rateHeaders } from './rate-headers.js'

/** `admin` may change what the server has; `inference` may not. */
export type Role = 'inference' | 'admin'

const limit = (maximum: number): TUnion<[TInteger, TNull]> => nullable(Type.Integer({ minimum: 1, maximum }))

const keyChecker = new Checker(Type.Object({
  name: Type.String({ minLength: 1, maxLength: 64 }),
  sha256: Type.String({ minLength: 64, maxLength: 64 }),
  role: Type.Enum(['inference', 'admin'], { default: 'inference' }),
  max_requests: limit(1 << 20),
  requests_per_minute: limit(1 << 30),
  tokens_per_minute: limit(1 << 30)
}, { additionalProperties: false }))

const sha256 = (text: string): Buffer => createHash('sha256').update(text).digest()

/** What a caller may have; null is no limit. */
interface Limits {
  /** Requests at a time. */
  readonly requests: number | null
  readonly requestsPerMinute: number | null
  /** Generated ones, discarded candidates too. */
  readonly tokensPerMinute: number | null
}

const noLimits: Limits = { requests: null, requestsPerMinute: null, tokensPerMinute: null }

/** Who sends a request: a key's holder, or anyone where there are no keys. */
export class Caller {
  /** The same for as long as the key is, wherever it stands among others: what is stored is kept under it. */
  readonly name: string
  readonly role: Role
  /** Whose turns it takes. */
  readonly turn: string
  readonly #salt: string
  readonly #maxRequests: number | null
  readonly #rates: { readonly requests: Rate | null, readonly tokens: Rate | null }
  #running = 0

  /**
   * @param salt what its cached prompts are kept under, beside the salt of a request
   * @param rates where its rates are counted
   * @param turn default its name
   */
  constructor (
    name: string, role: Role, salt: string, { requests, requestsPerMinute, tokensPerMinute }: Limits, rates: Rates,
    turn = name
  ) {
    this.name = name
    this.role = role
    this.turn = turn
    this.#salt = salt
    this.#maxRequests = requests
    this.#rates = {
      requests: requestsPerMinute === null ? null : rates.of(name, 'requests', requestsPerMinute),
      tokens: tokensPerMinute === null ? null : rates.of(name, 'tokens', tokensPerMinute)
    }
  }

  /** The same caller where it has no limits of its own, taking turns with those at other addresses. */
  at (address: string): Caller {
    return new Caller(this.name, this.role, this.#salt, noLimits, localRates, clientNetwork(address))
  }

  /** Counts tokens that were generated for it. */
  spend (tokens: number): void { this.#rates.tokens?.spend(tokens) }

  /** Salt of a request's cached prompts: no two callers share any. */
  saltOf (requestSalt: string): string { return this.#salt === '' ? requestSalt : `${this.#salt}:${requestSalt}` }

  /** @throws RequestError permission_denied for a priority that would put others behind, unless it is an admin's */
  checkPriority (priority: number): void {
    if (priority >= 0 || this.role === 'admin') return
    throw new RequestError('permission_denied',
      `priority must be 0 or more without the role admin; got ${priority}`, { param: 'priority' })
  }

  /** @throws RequestError rate_limit_exceeded where a rate is used up */
  #checkRate (rate: RateState | null, what: string): void {
    if (rate === null || rate.waitMs === 0) return
    throw new RequestError('rate_limit_exceeded',
      `the API key ${this.name} may have ${rate.limit} ${what} a minute; try again in ${durationText(rate.waitMs)}`,
      { retryAfterMs: rate.waitMs })
  }

  /**
   * Counts a request, whatever it asks for.
   * @param tell receives what is left of its rates, as headers, whether or not the request may go on
   * @throws RequestError rate_limit_exceeded where its rate is used up; store_unavailable
   */
  async countRequest (tell: (headers: Record<string, string>) => void = () => {}): Promise<void> {
    const [requests, tokens] =
      await Promise.all([this.#rates.requests?.take() ?? null, this.#rates.tokens?.look() ?? null])
    tell(rateHeaders({ requests, tokens }))
    this.#checkRate(requests, 'requests')
  }

  /** @throws RequestError rate_limit_exceeded where the rate of generated tokens is used up; store_unavailable */
  async checkTokens (): Promise<void> {
    if (this.#rates.tokens) this.#checkRate(await this.#rates.tokens.look(), 'generated tokens')
  }

  /**
   * Begins work for a request. @returns what ends it; may be called more than once
   * @throws RequestError rate_limit_exceeded where as much runs as may run at a time
   */
  take (): () => void {
    if (this.#maxRequests !== null && this.#running >= this.#maxRequests) {
      throw new RequestError('rate_limit_exceeded',
        `the API key ${this.name} may run ${this.#maxRequests} requests at a time`, { retryAfterMs: 1000 })
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

function keyOf (name: string, hash: Buffer, role: Role, limits: Limits, rates: Rates): Key {
  return { hash, caller: new Caller(name, role, hash.toString('hex').slice(0, 32), limits, rates) }
}

function keysOfFile (path: string, most: Limits, rates: Rates): Key[] {
  const list = readDataFile(path)
  if (!Array.isArray(list)) throw refuse(path, 'must hold a list of keys', list)
  return list.map((entry: unknown, index) => {
    const where = `${path}[${index}]`
    // What is no object may be a key: it is not shown.
    if (!isObject(entry)) throw refuse(where, 'must be an object with name and sha256', typeof entry)
    const { name, sha256: hash, role, ...own } = keyChecker.check(entry, where)
    if (!/^[\da-f]{64}$/.test(hash)) {
      throw new RequestError('invalid_request', `${where}.sha256 must be 64 lower-case hex digits`,
        { param: `${where}.sha256` })
    }
    return keyOf(name, Buffer.from(hash, 'hex'), role, {
      requests: own.max_requests ?? most.requests,
      requestsPerMinute: own.requests_per_minute ?? most.requestsPerMinute,
      tokensPerMinute: own.tokens_per_minute ?? most.tokensPerMinute
    }, rates)
  })
}

/** Shortest key taken from the environment, characters: hashes of shorter ones could be guessed. */
const minKeyLength = 16

/** Hex digits of a key's hash that name it where nobody gave it a name. */
const nameDigits = 16

function keysOfSetting (
  keys: readonly string[], setting: string, role: Role, most: Limits, rates: Rates
): Key[] {
  return keys.map((key, index) => {
    if (key.length < minKeyLength) {
      throw new RequestError('invalid_request',
        `${setting} must hold keys of at least ${minKeyLength} characters; number ${index + 1} has ${key.length}`)
    }
    const hash = sha256(key)
    return keyOf(`${setting} ${hash.toString('hex').slice(0, nameDigits)}`, hash, role, most, rates)
  })
}

/** Whether an address can be reached from this machine only. */
export const isLoopback = (host: string): boolean => host === 'localhost' || host === '::1' || host.startsWith('127.')

/** The keys that the settings name; with none of them, anyone is let in, on loopback as admin. */
export class Keys {
  readonly #keys: readonly Key[]
  readonly #anyone: Caller

  /**
   * @param rates where rates are counted, default in this process
   * @throws RequestError for a file that cannot be read, short keys, names or keys that are given twice
   */
  constructor (config: Pick<Config, 'host' | 'apiKeys' | 'adminKeys' | 'apiKeysFile' | 'maxRequestsPerKey'
    | 'requestsPerMinutePerKey' | 'tokensPerMinutePerKey'>, rates: Rates = localRates) {
    this.#anyone = new Caller('anyone', isLoopback(config.host) ? 'admin' : 'inference', '', noLimits, rates)
    const [requests, requestsPerMinute, tokensPerMinute] = [
      config.maxRequestsPerKey, config.requestsPerMinutePerKey, config.tokensPerMinutePerKey
    ].map(most => most === 0 ? null : most) as [number | null, number | null, number | null]
    const most = { requests, requestsPerMinute, tokensPerMinute }
    this.#keys = [
      ...keysOfSetting(config.apiKeys, 'api-keys', 'inference', most, rates),
      ...keysOfSetting(config.adminKeys, 'admin-keys', 'admin', most, rates),
      ...config.apiKeysFile === '' ? [] : keysOfFile(config.apiKeysFile, most, rates)
    ]
    const names = this.#keys.map(({ caller }) => caller.name)
    const hashes = this.#keys.map(({ hash }) => hash.toString('hex'))
    const twice = this.#keys.findIndex((_, index) => names.indexOf(names[index]!) !== index ||
      hashes.indexOf(hashes[index]!) !== index)
    if (twice >= 0) {
      throw new RequestError('invalid_request', `the API key ${names[twice]} has a name or a key that another one has`)
    }
  }

  /** Whether callers need a key. */
  get areNeeded (): boolean { return this.#keys.length > 0 }

  /**
   * The caller that an Authorization header names. Every key is compared, in constant time.
   * @param address the client's
   * @throws RequestError invalid_api_key
   */
  find (authorization: string | undefined, address = ''): Caller {
    if (!this.areNeeded) return this.#anyone.at(address)
    const given = /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1]
    if (given === undefined) {
      throw new RequestError('invalid_api_key', 'An API key is needed: send the header Authorization: Bearer KEY')
    }
    const hash = sha256(given)
    const found = this.#keys.filter(key => timingSafeEqual(key.hash, hash))
    if (found.length === 0) throw new RequestError('invalid_api_key', 'The API key is not known to this server')
    return found[0]!.caller
  }
}
