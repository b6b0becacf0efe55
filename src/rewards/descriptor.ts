/**
 * What a reward family is on disk: one JSON file per family, its schema, and the reading of it. Knows files, not how a
 * reward is computed (`head.ts`, `rules.ts`) or asked for (`resolve.ts`).
 */
import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Type, type Static, type TSchema } from 'typebox'
import { Value } from 'typebox/value'
import { RequestError } from '../errors.js'
import { compilePattern } from './rules.js'
import type { RewardMember } from './scorer.js'

const closed = { additionalProperties: false } as const
const fraction = Type.Number({ minimum: 0, maximum: 1 })

/** Mean and standard deviation of a member's raw score over a fixed pool of the policy's own answers. */
const normalizationSchema = Type.Object({ mean: Type.Number(), std: Type.Number({ exclusiveMinimum: 0 }), pool: Type.String() }, closed)
const memberSchema = Type.Object({ normalization: normalizationSchema }, closed)
const bothMembersSchema = Type.Object({ outcome: memberSchema, prefix: memberSchema }, closed)

/** Held-out figures of a head; the card is printed from them. */
const metricsSchema = Type.Object({
  /** `pair_accuracy`: share of pairs whose chosen answer scores higher, ties ½. `accuracy`: share of labels whose side of 0 is right. */
  measure: Type.Union([Type.Literal('pair_accuracy'), Type.Literal('accuracy')]),
  /** What the figures were measured on. */
  split: Type.String(),
  examples: Type.Integer({ minimum: 1 }),
  /** Prompts (or texts, where all share a prompt): the unit of the standard errors. */
  clusters: Type.Integer({ minimum: 1 }),
  /** One entry per share of the answer read, ascending; the last is the whole answer. `auc` for labels only. */
  byPrefix: Type.Array(Type.Object({ fraction, accuracy: fraction, standardError: Type.Number({ minimum: 0 }), auc: Type.Optional(fraction) }, closed), { minItems: 1 }),
  /** Expected calibration error of σ(score), of whole answers, ten equal-width bins. */
  calibrationError: fraction,
  /** Whole-answer accuracy of rewards that know nothing, or no hidden states. */
  controls: Type.Object({ lengthOnly: fraction, randomHead: fraction, randomHeadStd: Type.Number({ minimum: 0 }), tfidf: fraction }, closed)
}, closed)

const base = {
  /** What requests call it. */
  name: Type.String({ pattern: '^[a-z][a-z0-9_-]{0,63}$' }),
  description: Type.String({ minLength: 1, maxLength: 1000 })
}

const headSchema = Type.Object({
  ...base,
  kind: Type.Literal('head'),
  members: Type.Object({ outcome: Type.Optional(memberSchema), prefix: Type.Optional(memberSchema) }, { ...closed, minProperties: 1 }),
  /** Model whose hidden states the head reads. */
  policy: Type.Object({ id: Type.String(), weightsSha256: Type.String({ pattern: '^[0-9a-f]{64}$' }), format: Type.String() }, closed),
  /** Index into transformers' `hidden_states`: 0 is the embedding. */
  layer: Type.Integer({ minimum: 0 }),
  /** `mean`: running mean over the answer's tokens. `last`: the last token, which for a whole answer is the end token. */
  pooling: Type.Union([Type.Literal('mean'), Type.Literal('last')]),
  /** Raw score = weights · state + bias, length D; standardisation of the features is folded in. */
  weights: Type.Array(Type.Number(), { minItems: 1 }),
  bias: Type.Number(),
  fit: Type.Optional(Type.Object({
    objective: Type.Union([Type.Literal('bradley_terry'), Type.Literal('logistic')]),
    data: Type.String(),
    licence: Type.String(),
    examples: Type.Integer({ minimum: 1 }),
    /** λ of (λ/2)‖w‖², on standardised features. */
    regularization: Type.Number({ minimum: 0 }),
    /** Answers were cut to this many tokens. */
    maxAnswerTokens: Type.Integer({ minimum: 1 }),
    cutAnswers: Type.Integer({ minimum: 0 })
  }, closed)),
  metrics: Type.Optional(metricsSchema)
}, closed)

const lengthSchema = Type.Object({ ...base, kind: Type.Literal('rule'), rule: Type.Literal('length'), members: bothMembersSchema }, closed)

const regexSchema = Type.Object({
  ...base,
  kind: Type.Literal('rule'),
  rule: Type.Literal('regex'),
  pattern: Type.String({ minLength: 1, maxLength: 1000 }),
  /** Any of i (case), m (lines), s (dot matches newlines), u (code points). */
  flags: Type.Optional(Type.String({ pattern: '^(?!.*(.).*\\1)[imsu]*$' })),
  /** Default: mean 0.5 and standard deviation 0.5, so that a match is +1 and no match −1. */
  members: Type.Optional(bothMembersSchema)
}, closed)

export type Normalization = Static<typeof normalizationSchema>
export type HeadMetrics = Static<typeof metricsSchema>
export type HeadDescriptor = Static<typeof headSchema>
export type LengthDescriptor = Static<typeof lengthSchema>
export type RegexDescriptor = Static<typeof regexSchema>
export type RewardDescriptor = HeadDescriptor | LengthDescriptor | RegexDescriptor

/** A reward family as the server holds it. */
export interface RewardFamily {
  readonly name: string
  readonly description: string
  readonly members: readonly RewardMember[]
  /** First 12 hex digits of the sha256 of the file: changes whenever the reward does. */
  readonly version: string
  readonly file: string
  readonly descriptor: RewardDescriptor
}

/** The schema for what the file says it is, so that an error names the field and not every alternative. */
function schemaFor (value: unknown, file: string): TSchema {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw broken(file, 'must hold one JSON object')
  const { kind, rule } = value as Record<string, unknown>
  if (kind === 'head') return headSchema
  if (kind !== 'rule') throw broken(file, `kind must be "head" or "rule"; got ${JSON.stringify(kind)}`)
  if (rule === 'length') return lengthSchema
  if (rule === 'regex') return regexSchema
  throw broken(file, `rule must be "length" or "regex"; got ${JSON.stringify(rule)}`)
}

function broken (file: string, problem: string, cause?: unknown): RequestError {
  return new RequestError('invalid_request', `reward ${file}: ${problem}`, { cause })
}

/** @throws RequestError for a name that a descriptor could not have */
export function checkRewardName (name: string): void {
  if (!Value.Check(base.name, name)) throw new RequestError('invalid_request', `name must be lower-case letters, digits, _ and -, a letter first, 64 at most; got ${JSON.stringify(name)}`, { param: 'name' })
}

/** The first violation in words: field, rule, and the value where it is short. */
function violation (schema: TSchema, value: unknown): string {
  const errors = Value.Errors(schema, value)
  const extra = errors.find(error => error.keyword === 'additionalProperties')
  if (extra?.keyword === 'additionalProperties') return `unknown field ${extra.params.additionalProperties.join(', ')}${extra.instancePath === '' ? '' : ` in ${extra.instancePath}`}`
  const error = errors[0]
  if (!error) return 'does not match the schema'
  const found = error.instancePath === '' ? undefined : Value.Pointer.Get(value, error.instancePath)
  const shown = found === undefined ? '' : `; got ${JSON.stringify(found).slice(0, 80)}`
  return `${error.instancePath === '' ? 'the object' : error.instancePath} ${error.message}${shown}`
}

/**
 * Reads one descriptor.
 * @param text the file's content
 * @param file its name, for messages
 * @throws RequestError naming file, field, rule and value
 */
export function parseRewardFamily (text: string, file: string): RewardFamily {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw broken(file, `is not JSON: ${(error as Error).message}`, error)
  }
  const schema = schemaFor(value, file)
  if (!Value.Check(schema, value)) throw broken(file, violation(schema, value))
  const descriptor = value as RewardDescriptor
  if (descriptor.kind === 'rule' && descriptor.rule === 'regex') compilePattern(descriptor)
  const members = (descriptor.kind === 'rule' ? ['outcome', 'prefix'] : Object.keys(descriptor.members)) as RewardMember[]
  const version = createHash('sha256').update(text).digest('hex').slice(0, 12)
  return Object.freeze({ name: descriptor.name, description: descriptor.description, members, version, file, descriptor })
}

/**
 * Every reward family in some folders (`*.json`, not deeper), sorted by name.
 * @throws RequestError for a folder that cannot be read, a file that is not a valid descriptor, or two files of one name
 */
export async function loadRewards (directories: readonly string[]): Promise<RewardFamily[]> {
  const families = new Map<string, RewardFamily>()
  for (const directory of directories) {
    const entries = await readdir(directory).catch((error: Error) => { throw broken(directory, `folder cannot be read: ${error.message}`, error) })
    for (const entry of entries.filter(name => name.endsWith('.json')).sort()) {
      const file = join(directory, entry)
      const family = parseRewardFamily(await readFile(file, 'utf8'), file)
      const other = families.get(family.name)
      if (other) throw broken(file, `name "${family.name}" is taken by ${other.file}`)
      families.set(family.name, family)
    }
  }
  return [...families.values()].sort((a, b) => a.name < b.name ? -1 : 1)
}
