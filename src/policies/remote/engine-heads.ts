/**
 * Heads on hidden states inside vLLM, where the plugin of integrations/vllm is: which there are, and how their values
 * are read from the logprobs of tokens that lend their places (its README has the formula).
 */
import type { HeadElsewhere } from '../../rewards/readable-policy.js'
import type { HeadReader, RankedLogprob } from './engine-call.js'
import { fieldsOf, listOf, textOf, tokenOf, wrong, type Fields } from './fields.js'

/** The meaning of channels that is read here. */
const interfaceVersion = 1
/** vLLM tells 20 logprobs at most: two for each head, one for what they are differences to, one to spare. */
const mostHeads = 9

interface Place extends HeadElsewhere {
  readonly mantissa: number
  readonly exponent: number
  readonly hasQHead: boolean
}

function placeOf (value: unknown): Place {
  const head = fieldsOf(value, 'heads[]')
  const { id, weightsSha256 } = fieldsOf(head['policy'], 'heads[].policy')
  return {
    name: textOf(head['name'], 'heads[].name') ?? '',
    layer: tokenOf(head['layer'], 'heads[].layer'),
    pooling: textOf(head['pooling'], 'heads[].pooling') ?? '',
    members: fieldsOf(head['members'], 'heads[].members'),
    policy: { id: textOf(id, 'id') ?? '', weightsSha256: textOf(weightsSha256, 'weightsSha256') ?? '' },
    sha256: textOf(head['sha256'], 'heads[].sha256'),
    nextTokenSha256: textOf(head['next_token_sha256'], 'heads[].next_token_sha256'),
    hasQHead: head['next_token'] === true,
    mantissa: tokenOf(head['mantissa'], 'heads[].mantissa'),
    exponent: tokenOf(head['exponent'], 'heads[].exponent')
  }
}

function scaleOf (channels: Fields, name: string): number {
  const value = channels[name]
  if (typeof value !== 'number' || !(value > 0)) throw wrong(`a number above 0 as channels.${name}`, value)
  return value
}

export class EngineHeads implements HeadReader {
  readonly all: readonly HeadElsewhere[]
  /** Names of those that are not read: there are more than can be. */
  readonly unread: readonly string[]
  /**
   * Tokens whose logprobs must be asked for. The last is one that is not read: vLLM's generate endpoint tells one less
   * than is asked for, beside that of the token that was drawn.
   */
  readonly tokens: readonly number[]
  readonly #places: readonly Place[]
  readonly #reference: number
  readonly #scales: readonly [number, number]

  /**
   * @param guides whether tokens are guided by its Q-heads
   * @throws Error in words that follow "the engine" for what is not the plugin's answer
   */
  constructor (answer: unknown, guides = true) {
    const { interface: version, channels: given, heads } = fieldsOf(answer, 'heads')
    if (version !== interfaceVersion) throw wrong(`interface ${interfaceVersion} of the plugin`, version)
    const channels = fieldsOf(given, 'channels')
    this.#reference = tokenOf(channels['reference'], 'channels.reference')
    this.#scales = [scaleOf(channels, 'mantissa_scale'), scaleOf(channels, 'exponent_scale')]
    const places = listOf(heads, 'heads').map(placeOf)
      .map(place => guides ? place : { ...place, nextTokenSha256: null })
    this.#places = places.slice(0, mostHeads)
    this.all = this.#places
    this.unread = places.slice(mostHeads).map(({ name }) => name)
    this.tokens = [this.#reference, ...this.#places.flatMap(({ mantissa, exponent }) => [mantissa, exponent]),
      tokenOf(channels['sink'], 'channels.sink')]
  }

  /** Names of those by whose Q-heads tokens are guided. */
  get guiding (): string[] {
    return this.#places.filter(({ nextTokenSha256 }) => nextTokenSha256 !== null).map(({ name }) => name)
  }

  /** Names of those that have one by which they are not: it has no effect, or the plugin does not tell which it is. */
  get unguiding (): string[] {
    return this.#places.filter(({ hasQHead, nextTokenSha256 }) => hasQHead && nextTokenSha256 === null)
      .map(({ name }) => name)
  }

  /**
   * Values by name at one position: of the state after the token before it.
   * @throws Error in words that follow "the engine" where they are missing
   */
  values (told: readonly RankedLogprob[]): ReadonlyMap<string, number> {
    const logprobs = new Map(told.map(({ token, logprob }) => [token, logprob]))
    const above = (token: number): number => {
      const [one, reference] = [logprobs.get(token), logprobs.get(this.#reference)]
      if (one === undefined || reference === undefined) throw wrong('the values of its heads', told)
      return one - reference
    }
    const [mantissaScale, exponentScale] = this.#scales
    return new Map(this.#places.map(({ name, mantissa, exponent }) =>
      [name, above(mantissa) / mantissaScale * 2 ** Math.round(above(exponent) / exponentScale)]))
  }
}
