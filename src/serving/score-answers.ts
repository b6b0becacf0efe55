/**
 * Scores given answers: each is read once, as many concurrently as KV allows, a prompt once for all its answers. Where
 * no reward uses the model's hidden states, the model does not run.
 */
import { readAnswer } from '../policies/local/answers.js'
import { unreadAnswer } from '../policies/unread-answer.js'
import type { ComputeLedger, Sequence } from '../engine/sequence.js'
import { codePoints } from '../code-points.js'
import { RequestError } from '../errors.js'
import { refuse } from '../validation.js'
import { IncrementalDetokenizer } from '../models/tokenizer/detokenizer.js'
import { resolveScorer, type ResolvedScorer } from '../rewards/resolve-scorer.js'
import type { Prompt } from '../rewards/scorer.js'
import { admit } from './admission.js'
import type { Used } from './protocol.js'
import { requestScope } from './request-scope.js'
import type { Scored, ScoredItem, ScoredPrefix, ScoreRequest } from './calls.js'
import { localOf, policyOf, type ServedModel } from './served-models.js'

/** An answer to be scored, tokenised. */
interface Item {
  readonly prompt: Prompt
  readonly text: string
  readonly tokens: readonly number[]
  /** Numbers of tokens at which it is scored, ascending; the last is all of them. */
  readonly stops: readonly number[]
}

/** Max concurrent sequences: enough to fill the engine's steps. */
const maxConcurrent = 32

/** Scores of prefixes in one answer, at most: about 8 MB of JSON. */
const maxPrefixScores = 1 << 15

/** Characters of all prefixes together, at most: a rule reads each from its beginning. */
const maxPrefixCharacters = 1 << 26

function stopsOf (length: number, every: number | null): number[] {
  const stops: number[] = []
  if (every !== null) for (let at = every; at < length; at += every) stops.push(at)
  return [...stops, length]
}

/** @throws RequestError where an answer is to be scored at more prefixes than can be read and listed */
function checkPrefixes (items: readonly Item[], { every, rewards }: ScoreRequest): void {
  if (every === null) return
  const sum = (of: (item: Item) => number): number => items.reduce((total, item) => total + of(item), 0)
  const scores = sum(({ stops }) => stops.length) * rewards.length
  const characters = sum(({ stops, text }) => stops.length * text.length / 2)
  const excess = Math.max(scores / maxPrefixScores, characters / maxPrefixCharacters)
  if (excess > 1) {
    throw refuse('every', `must be larger, about ${Math.ceil(every * excess)}: a request may ask for ` +
      `${maxPrefixScores} scores of prefixes, which may have ${maxPrefixCharacters} characters together; this one has ` +
      `${scores} and ${Math.round(characters)}`, every)
  }
}

/** Items tokenised in one turn. */
const tokenizedTogether = 32

/** The items, tokenised. @throws RequestError for one that the context cannot hold, and where all are too many */
async function prepareItems (
  { model, config, prompts }: ServedModel, request: ScoreRequest, signal: AbortSignal
): Promise<Item[]> {
  const { items, every, fields, caller = '' } = request
  const named = items.map((input, index) => ({ input, param: `${fields.items}[${index}]` }))
  const prepared: Item[] = []
  for (let start = 0; start < named.length; start += tokenizedTogether) {
    const some = named.slice(start, start + tokenizedTogether)
    const read = await prompts.run(model, 'exchanges', some, { caller, signal })
    for (const [index, { prompt, tokens }] of read.entries()) {
      const item = { prompt, text: some[index]!.input.answer, tokens, stops: stopsOf(tokens.length, every) }
      checkLength(model, item, start + index, fields.items)
      prepared.push(item)
    }
    checkTotal(config, tokensOf(prepared), fields.items)
  }
  checkPrefixes(prepared, request)
  return prepared
}

function checkLength (
  { contextLength }: ServedModel['model'], { prompt: { tokens: { length } }, tokens: answer }: Item, index: number,
  param: string
): void {
  if (length + answer.length < contextLength) return
  throw new RequestError('context_length_exceeded', `This model's context length is ${contextLength} tokens; ` +
    `messages and answer of item ${index} have ${length} and ${answer.length}`, { param: `${param}[${index}]` })
}

function checkTotal ({ maxTokensPerRequest: most }: ServedModel['config'], total: number, param: string): void {
  if (total <= most) return
  throw new RequestError('budget_exceeded', `a request may have ${most} tokens scored (max-tokens-per-request); ` +
    `prompts and answers of this one have ${total} or more`, { param })
}

const tokensOf = (items: readonly Item[]): number =>
  items.reduce((sum, { prompt, tokens }) => sum + prompt.tokens.length + tokens.length, 0)

/** The first tokens of an answer. */
interface Prefix {
  readonly tokens: number
  readonly text: string
  /** Code points of the text. */
  readonly end: number
}

/** The prefix of each stop; the bytes of an unfinished character are left out. */
function prefixesOf (served: ServedModel, { tokens, stops, text }: Item): Prefix[] {
  const detokenizer = new IncrementalDetokenizer(token => served.model.tokenizer.tokenBytes(token))
  let [whole, read, end] = ['', 0, 0]
  const ends = stops.map(stop => {
    let more = ''
    while (read < stop) more += detokenizer.push(tokens[read++]!)
    whole += more
    end += codePoints(more)
    return { length: whole.length, end }
  })
  // Slices share the one text.
  return stops.map((stop, index) => stop === tokens.length
    ? { tokens: stop, text, end: codePoints(text) }
    : { tokens: stop, text: whole.slice(0, ends[index]!.length), end: ends[index]!.end })
}

/** A request while it is scored. */
interface Job {
  readonly served: ServedModel
  readonly request: ScoreRequest
  readonly resolved: ResolvedScorer
  readonly signal: AbortSignal
  readonly ledger: ComputeLedger
}

/** Sequences that one item may hold. */
const widthOf = ({ forks }: ResolvedScorer): number => forks ? 2 : 1

/** Items from `start` on that fit KV together, at least one. */
function waveOf ({ served: { kvBudget }, resolved }: Job, items: readonly Item[], start: number): Item[] {
  const wave: Item[] = []
  let longest = 0
  for (const item of items.slice(start, start + maxConcurrent)) {
    longest = Math.max(longest, item.prompt.tokens.length + item.tokens.length + 1)
    if (wave.length > 0 && (wave.length + 1) * widthOf(resolved) * longest > kvBudget.maxTokens) break
    wave.push(item)
  }
  return wave
}

async function scorePrefix (
  { request: { member, every }, resolved }: Job, { prompt, tokens }: Item,
  { text, tokens: stop, end }: Prefix, sequence: Sequence | null
): Promise<ScoredPrefix> {
  const final = member === 'outcome' || (every !== null && stop === tokens.length)
  const answer = { text, tokens: tokens.slice(0, stop), final }
  const read = sequence ? readAnswer(answer, sequence, await sequence.output()) : unreadAnswer(answer)
  const [score] = await resolved.scorer.score(prompt, [read])
  return { tokens: stop, end, score: score! }
}

/**
 * Scores one item at each of its stops.
 * @param sequence of its prompt and what comes before the first stop; null where the served model does not read it
 */
async function scoreItem (job: Job, item: Item, sequence: Sequence | null): Promise<ScoredItem> {
  const scored: ScoredPrefix[] = []
  for (const [index, prefix] of prefixesOf(job.served, item).entries()) {
    if (index > 0) sequence?.append(...item.tokens.slice(item.stops[index - 1], prefix.tokens))
    scored.push(await scorePrefix(job, item, prefix, sequence))
  }
  return { score: scored.at(-1)!.score, tokens: item.tokens.length, prefixes: job.request.every === null ? [] : scored }
}

/**
 * A sequence for each item, of its prompt and what comes before its first stop. A prompt that several have is read
 * once.
 * @param opened takes them
 */
async function open (
  { served, request: { cacheSalt: salt, caller = '' }, resolved, signal, ledger }: Job, wave: readonly Item[],
  opened: Map<Item, Sequence>
): Promise<void> {
  const { engine } = localOf(served, 'rewards', 'hidden states')
  const byPrompt = new Map<string, Item[]>()
  for (const item of wave) {
    const key = item.prompt.tokens.join()
    byPrompt.set(key, [...byPrompt.get(key) ?? [], item])
  }
  await Promise.all([...byPrompt.values()].map(async items => {
    const { tokens } = items[0]!.prompt
    const root = engine.open(tokens,
      { layers: resolved.scorer.layers, poolFrom: tokens.length, listedLogits: true, caller, salt, signal, ledger })
    opened.set(items.at(-1)!, root)
    if (items.length > 1) await root.output()
    for (const item of items.slice(0, -1)) opened.set(item, root.fork())
    for (const item of items) opened.get(item)!.append(...item.tokens.slice(0, item.stops[0]))
  }))
}

/** Scores items together. @param isRead whether the served model reads them */
async function scoreWave (job: Job, wave: readonly Item[], isRead: boolean): Promise<ScoredItem[]> {
  const { served, resolved, signal, request: { caller = '' } } = job
  const longest = Math.max(...wave.map(({ prompt, tokens }) => prompt.tokens.length + tokens.length))
  const demand = isRead ? { sequences: wave.length * widthOf(resolved), tokens: longest + 1 } : null
  const reservation = await admit(served, { demand, beside: resolved.demands, turn: { caller } }, signal)
  const opened = new Map<Item, Sequence>()
  try {
    if (isRead) await open(job, wave, opened)
    return await Promise.all(wave.map(item => scoreItem(job, item, opened.get(item) ?? null)))
  } finally {
    for (const sequence of opened.values()) sequence.close()
    reservation.release()
  }
}

async function scoreAll (job: Job, items: readonly Item[]): Promise<ScoredItem[]> {
  if (job.resolved.scorer.layers.length === 0) return scoreWave(job, items, false)
  localOf(job.served, 'rewards', 'hidden states of answers that are given')
  const scored: ScoredItem[] = []
  while (scored.length < items.length) scored.push(...await scoreWave(job, waveOf(job, items, scored.length), true))
  return scored
}

/**
 * @param used is given how long the rewards took
 * @throws RequestError for rewards that are not there and answers that do not fit the context or the operator's ceiling
 */
export async function score (
  served: ServedModel, request: ScoreRequest, signal: AbortSignal,
  used: Pick<Used, 'rewardSeconds'> = { rewardSeconds: {} }
): Promise<Scored> {
  const scope = requestScope(signal)
  try {
    return await scoreItems(served, request, scope.signal, used)
  } finally {
    scope.end()
  }
}

async function scoreItems (
  served: ServedModel, request: ScoreRequest, signal: AbortSignal, used: Pick<Used, 'rewardSeconds'>
): Promise<Scored> {
  const { rewards, member, scale, fields, cacheSalt: salt, caller = '' } = request
  await served.loadRewards(rewards)
  const items = await prepareItems(served, request, signal)
  const tokens = Math.max(...items.map(item => item.prompt.tokens.length + item.tokens.length))
  const resolved = resolveScorer(served.rewards, { rewards, member, scale, field: fields.rewards },
    policyOf(served), {
      width: Math.min(items.length, maxConcurrent),
      tokens,
      reader: served.remote === null ? served : null,
      caller,
      salt,
      signal
    })
  used.rewardSeconds = resolved.seconds
  const ledger: ComputeLedger = { computedTokens: 0, cachedTokens: 0, forwardPasses: 0 }
  return {
    items: await scoreAll({ served, request, resolved, signal, ledger }, items),
    rewardsUsed: resolved.scorer.used,
    warnings: resolved.warnings,
    usage: {
      tokens: tokensOf(items),
      cachedTokens: ledger.cachedTokens,
      computedTokens: ledger.computedTokens + resolved.ledger.rewardTokens
    }
  }
}
