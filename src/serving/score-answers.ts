/**
 * Scores given answers: each is read once, as many side by side as KV allows, a prompt once for all its answers. Where
 * no reward looks at the model's states, the model is not asked at all.
 */
import { readAnswer, unreadAnswer } from '../policies/local/answers.js'
import type { ComputeLedger, Output, Sequence } from '../engine/sequence.js'
import { RequestError } from '../errors.js'
import { IncrementalDetokenizer } from '../models/tokenizer/detokenizer.js'
import { policyInfo } from '../rewards/readable-policy.js'
import { resolveScorer, type ResolvedScorer } from '../rewards/resolve-scorer.js'
import type { Prompt } from '../rewards/scorer.js'
import type { Host } from './model-runtime.js'
import { renderPrompt } from './prompt-reader.js'
import { requestScope, reserveAll } from './request-scope.js'
import type { Scored, ScoredItem, ScoredPrefix, ScoreRequest, Spent } from './protocol.js'

/** An answer to be scored, tokenised. */
interface Item {
  readonly prompt: Prompt
  readonly text: string
  readonly tokens: readonly number[]
  /** Numbers of tokens at which it is scored, ascending; the last is all of them. */
  readonly stops: readonly number[]
}

/** Sequences side by side, at most: enough to fill the engine's steps. */
const mostAbreast = 32

function stopsOf (length: number, every: number | null): number[] {
  const stops: number[] = []
  if (every !== null) for (let at = every; at < length; at += every) stops.push(at)
  return [...stops, length]
}

function prepareItems (host: Host, { items, every, fields }: ScoreRequest): Item[] {
  const { model, config } = host
  const prepared = items.map(({ messages, answer }, index): Item => {
    const prompt = renderPrompt(host, messages)
    const tokens = model.tokenizer.encode(answer)
    if (prompt.tokens.length + tokens.length >= model.contextLength) {
      throw new RequestError('context_length_exceeded', `This model's context length is ${model.contextLength} ` +
        `tokens; messages and answer of item ${index} have ${prompt.tokens.length} and ${tokens.length}`,
      { param: `${fields.items}[${index}]` })
    }
    return { prompt, text: answer, tokens, stops: stopsOf(tokens.length, every) }
  })
  const total = tokensOf(prepared)
  if (total > config.maxTokensPerRequest) {
    throw new RequestError('budget_exceeded', `a request may have ${config.maxTokensPerRequest} tokens scored ` +
      `(max-tokens-per-request); prompts and answers of this one have ${total}`, { param: fields.items })
  }
  return prepared
}

const tokensOf = (items: readonly Item[]): number =>
  items.reduce((sum, { prompt, tokens }) => sum + prompt.tokens.length + tokens.length, 0)

/** Texts of the first tokens, for each stop; the bytes of an unfinished character are left out. */
function prefixTexts (host: Host, { tokens, stops, text }: Item): string[] {
  const detokenizer = new IncrementalDetokenizer(token => host.model.tokenizer.tokenBytes(token))
  let [read, at] = ['', 0]
  return stops.map(stop => {
    while (at < stop) read += detokenizer.push(tokens[at++]!)
    return stop === tokens.length ? text : read
  })
}

class Scoring {
  readonly #host: Host
  readonly #request: ScoreRequest
  readonly #resolved: ResolvedScorer
  readonly #signal: AbortSignal
  readonly ledger: ComputeLedger = { computedTokens: 0, cachedTokens: 0, forwardPasses: 0 }

  constructor (host: Host, request: ScoreRequest, resolved: ResolvedScorer, signal: AbortSignal) {
    this.#host = host
    this.#request = request
    this.#resolved = resolved
    this.#signal = signal
  }

  /** Sequences that one item may hold. */
  get #width (): number { return this.#resolved.forks ? 2 : 1 }

  /** Items from `start` on that fit KV together, at least one. */
  #wave (items: readonly Item[], start: number): Item[] {
    const { config, engine } = this.#host
    const mostTokens = config.kvCacheBytes / engine.stats().kvBytesPerToken
    const wave: Item[] = []
    let longest = 0
    for (const item of items.slice(start, start + mostAbreast)) {
      longest = Math.max(longest, item.prompt.tokens.length + item.tokens.length + 1)
      if (wave.length > 0 && (wave.length + 1) * this.#width * longest > mostTokens) break
      wave.push(item)
    }
    return wave
  }

  async #scoreOne (
    item: Item, text: string, stop: number, read: { sequence: Sequence, output: Output } | null
  ): Promise<ScoredPrefix> {
    const final = this.#request.member === 'outcome' || (this.#request.every !== null && stop === item.tokens.length)
    const answer = { text, tokens: item.tokens.slice(0, stop), final }
    const [score] = await this.#resolved.scorer.score(item.prompt,
      [read ? readAnswer(answer, read.sequence, read.output) : unreadAnswer(answer)])
    return { tokens: stop, text, score: score! }
  }

  /**
   * Scores one item at each of its stops.
   * @param sequence of its prompt and what comes before the first stop; null where no model reads it
   */
  async #score (item: Item, sequence: Sequence | null): Promise<ScoredItem> {
    const texts = prefixTexts(this.#host, item)
    const scored: ScoredPrefix[] = []
    for (const [index, stop] of item.stops.entries()) {
      if (index > 0) sequence?.append(...item.tokens.slice(item.stops[index - 1], stop))
      scored.push(await this.#scoreOne(item, texts[index]!, stop,
        sequence && { sequence, output: await sequence.output() }))
    }
    return {
      score: scored.at(-1)!.score, tokens: item.tokens.length, prefixes: this.#request.every === null ? [] : scored
    }
  }

  /**
   * A sequence for each item, of its prompt and what comes before its first stop. A prompt that several have is read
   * once.
   * @param opened takes them
   */
  async #open (wave: readonly Item[], opened: Map<Item, Sequence>): Promise<void> {
    const { engine } = this.#host
    const byPrompt = new Map<string, Item[]>()
    for (const item of wave) {
      const key = item.prompt.tokens.join()
      byPrompt.set(key, [...byPrompt.get(key) ?? [], item])
    }
    await Promise.all([...byPrompt.values()].map(async items => {
      const { prompt } = items[0]!
      const root = engine.open(prompt.tokens, {
        layers: this.#resolved.scorer.layers,
        poolFrom: prompt.tokens.length,
        salt: this.#request.cacheSalt,
        signal: this.#signal,
        ledger: this.ledger
      })
      opened.set(items.at(-1)!, root)
      if (items.length > 1) await root.output()
      for (const item of items.slice(0, -1)) opened.set(item, root.fork())
      for (const item of items) opened.get(item)!.append(...item.tokens.slice(0, item.stops[0]))
    }))
  }

  async #read (wave: readonly Item[]): Promise<ScoredItem[]> {
    const { engine } = this.#host
    const longest = Math.max(...wave.map(({ prompt, tokens }) => prompt.tokens.length + tokens.length))
    const reservation = await reserveAll(engine,
      { sequences: wave.length * this.#width, promptTokens: 0, answerTokens: longest + 1, sharesPrompt: false },
      this.#resolved.rooms, this.#signal)
    const opened = new Map<Item, Sequence>()
    try {
      await this.#open(wave, opened)
      return await Promise.all(wave.map(item => this.#score(item, opened.get(item)!)))
    } finally {
      for (const sequence of opened.values()) sequence.close()
      reservation.release()
    }
  }

  /** Scores answers that the policy does not read. */
  async #scoreUnread (items: readonly Item[]): Promise<ScoredItem[]> {
    const reservation = await reserveAll(this.#host.engine, null, this.#resolved.rooms, this.#signal)
    try {
      return await Promise.all(items.map(item => this.#score(item, null)))
    } finally {
      reservation.release()
    }
  }

  async run (items: readonly Item[]): Promise<ScoredItem[]> {
    if (this.#resolved.scorer.layers.length === 0) return this.#scoreUnread(items)
    const scored: ScoredItem[] = []
    while (scored.length < items.length) scored.push(...await this.#read(this.#wave(items, scored.length)))
    return scored
  }
}

/**
 * @param spent told how long the rewards took
 * @throws RequestError for rewards that are not there and answers that do not fit the context or the operator's ceiling
 */
export async function score (
  host: Host, request: ScoreRequest, signal: AbortSignal, spent: Pick<Spent, 'rewardSeconds'> = { rewardSeconds: {} }
): Promise<Scored> {
  const scope = requestScope(signal)
  try {
    return await scoreItems(host, request, scope.signal, spent)
  } finally {
    scope.end()
  }
}

async function scoreItems (
  host: Host, request: ScoreRequest, signal: AbortSignal, spent: Pick<Spent, 'rewardSeconds'>
): Promise<Scored> {
  const { rewards, member, scale, fields, cacheSalt: salt } = request
  await host.readyRewards(rewards)
  const items = prepareItems(host, request)
  const tokens = Math.max(...items.map(item => item.prompt.tokens.length + item.tokens.length))
  const resolved = resolveScorer(host.rewards, { rewards, member, scale, field: fields.rewards },
    policyInfo(host.model), { width: Math.min(items.length, mostAbreast), tokens, reader: host.reader, salt, signal })
  spent.rewardSeconds = resolved.seconds
  const scoring = new Scoring(host, request, resolved, signal)
  const scored = await scoring.run(items)
  return {
    items: scored,
    rewardsUsed: resolved.scorer.used,
    warnings: resolved.warnings,
    usage: {
      tokens: tokensOf(items),
      cachedTokens: scoring.ledger.cachedTokens,
      computedTokens: scoring.ledger.computedTokens + resolved.ledger.rewardTokens
    }
  }
}
