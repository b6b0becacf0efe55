/**
 * What a reward family is on disk: one JSON file per family, one format for all kinds, and the reading of it. Knows
 * files and which kind reads which fields, not how a score is computed or asked for (`resolve-scorer.ts`).
 */
import { createHash } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Type, type TObject, type TProperties } from 'typebox'
import { Value } from 'typebox/value'
import { RequestError } from '../errors.js'
import { readWhole } from '../models/formats/binary-files.js'
import { maxJsonBytes, parseObject } from '../models/formats/json-files.js'
import { decodeText } from '../text-file.js'
import { isObject } from '../validation.js'
import { closed, naming } from './descriptor-parts.js'
import { classifierFields, classifierSource, valueFields, type ClassifierDescriptor } from './kinds/classifier.js'
import { confidenceFields, confidenceSource, type ConfidenceDescriptor } from './kinds/confidence.js'
import { combineRules, ensembleFields, ensembleSource, type EnsembleDescriptor } from './kinds/ensemble.js'
import { headFields, headSource, type Head } from './kinds/head.js'
import type { RewardSource } from './reward-kind.js'
import { logRatioFields, logRatioSource, type LogRatioDescriptor } from './kinds/log-ratio.js'
import { onnxFields, onnxSource, type OnnxDescriptor } from './kinds/onnx.js'
import { processFields, processSource, type ProcessDescriptor } from './kinds/process.js'
import { noRemotes, remoteFields, remoteSource, type RemoteDescriptor, type Remotes } from './kinds/remote.js'
import { ruleFields, rules, ruleSource, type RuleDescriptor, type RuleName } from './kinds/rules/rules.js'
import type { RewardMember } from './scorer.js'

/** What a family is called and means. */
export interface Naming { readonly name: string, readonly description: string }
/** A head with its name. */
export type HeadDescriptor = Naming & Head
type KindDescriptor = Head | RuleDescriptor | EnsembleDescriptor | RemoteDescriptor | ClassifierDescriptor
  | ProcessDescriptor | LogRatioDescriptor | ConfidenceDescriptor | OnnxDescriptor
/** A reward of any kind with its name. */
export type RewardDescriptor = Naming & KindDescriptor

/** A reward family as the server holds it. */
export interface RewardFamily extends Naming {
  readonly members: readonly RewardMember[]
  /**
   * First 12 hex digits of the sha256 of the file, and of those of the models it has loaded: changes whenever the
   * reward does.
   */
  readonly version: string
  readonly file: string
  readonly descriptor: RewardDescriptor
  readonly source: RewardSource
}

/** A violation, in words that follow the file's name. */
class Violation extends Error {}

type Fields = Readonly<Record<string, unknown>>

/** What descriptors refer to: the origins that remote scorers may have, the folder that paths are relative to. */
interface Surroundings { readonly remotes: Remotes, readonly folder: string }

/** How descriptors of a kind are checked and read. */
interface Kind {
  /** Its fields beside the family's; those of some kinds depend on others. */
  readonly fields: (value: Fields) => TProperties
  readonly source: (descriptor: never, around: Surroundings) => RewardSource
}

/** A kind whose paths are relative to the descriptor's folder. */
const withFiles = <D>(fields: TProperties, source: (descriptor: D, folder: string) => RewardSource): Kind =>
  ({ fields: () => fields, source: (descriptor: D, { folder }) => source(descriptor, folder) })

/** Every kind of reward. Choosing fields by kind makes an error name the field and not every alternative. */
const kinds: Readonly<Record<KindDescriptor['kind'], Kind>> = {
  head: { fields: () => headFields, source: headSource },
  rule: {
    fields: ({ rule }) => ruleFields(oneOf('rule', Object.keys(rules) as RuleName[], rule)), source: ruleSource
  },
  ensemble: {
    fields: ({ combine }) => ensembleFields(oneOf('combine', combineRules, combine)),
    source: (descriptor: EnsembleDescriptor, around) => ensembleSource(descriptor,
      descriptor.scorers.map((scorer, index) => nestedSource(scorer, index, around)))
  },
  remote: {
    fields: () => remoteFields,
    source: (descriptor: RemoteDescriptor, { remotes, folder }) => remoteSource(descriptor, remotes, folder)
  },
  classifier: withFiles(classifierFields, classifierSource),
  value: withFiles(valueFields, classifierSource),
  process: withFiles(processFields, processSource),
  log_ratio: withFiles(logRatioFields, logRatioSource),
  confidence: { fields: () => confidenceFields, source: confidenceSource },
  onnx: withFiles(onnxFields, onnxSource)
}

/** A field's value, if it is one of some names. @throws Violation with the names */
function oneOf<T extends string> (field: string, names: readonly T[], value: unknown): T {
  if (names.includes(value as T)) return value as T
  throw new Violation(
    `${field} must be one of ${names.map(name => `"${name}"`).join(', ')}; got ${JSON.stringify(value)?.slice(0, 80)}`)
}

/** Checks a descriptor's own fields. @throws Violation naming field, rule and, where it is short, value */
function checkShape (schema: TObject, value: unknown): void {
  if (Value.Check(schema, value)) return
  const errors = Value.Errors(schema, value)
  const extra = errors.find(error => error.keyword === 'additionalProperties')
  if (extra?.keyword === 'additionalProperties') {
    throw new Violation('unknown field ' +
      `${extra.params.additionalProperties.join(', ')}${extra.instancePath === '' ? '' : ` in ${extra.instancePath}`}`)
  }
  const error = errors[0]!
  const found = error.instancePath === '' ? undefined : Value.Pointer.Get(value, error.instancePath)
  const shown = found === undefined || /\/(?:url|apiKeyEnv)$/.test(error.instancePath) ? '' : `; got ${JSON.stringify(found).slice(0, 80)}`
  throw new Violation(`${error.instancePath === '' ? 'the object' : error.instancePath} ${error.message}${shown}`)
}

function objectOf (value: unknown): Fields {
  if (!isObject(value)) throw new Violation('must contain one JSON object')
  return value
}

/** The source of scores of a descriptor, which is checked first. @param common fields of all kinds */
function sourceOf (value: Fields, common: TProperties, around: Surroundings): RewardSource {
  const kind = kinds[oneOf('kind', Object.keys(kinds) as Array<KindDescriptor['kind']>, value['kind'])]
  checkShape(Type.Object({ ...common, ...kind.fields(value) }, closed), value)
  return kind.source(value as never, around)
}

/** A scorer inside an ensemble: a descriptor without name and description. */
function nestedSource (value: object, index: number, around: Surroundings): RewardSource {
  try {
    const fields = objectOf(value)
    if (fields['kind'] === 'ensemble') throw new Violation('must not be an ensemble itself')
    return sourceOf(fields, {}, around)
  } catch (error) {
    if (error instanceof Violation || error instanceof RequestError) {
      throw new Violation(`scorers[${index}]: ${error.message}`, { cause: error })
    }
    throw error
  }
}

function versionOf (text: string, { modelHashes = [] }: RewardSource): string {
  const hash = createHash('sha256').update(text)
  for (const one of modelHashes) hash.update(one)
  return hash.digest('hex').slice(0, 12)
}

function parseJson (text: string): Fields {
  try {
    return parseObject(text)
  } catch (error) {
    throw new Violation(`must contain one JSON object: ${(error as Error).message}`, { cause: error })
  }
}

/** A descriptor's text. @throws RequestError for what is no file, too large or not UTF-8 */
export async function readDescriptor (file: string): Promise<string> {
  const bytes = await readWhole(file, maxJsonBytes).catch((error: Error) => {
    throw broken(file, `cannot read it: ${error.message}`, error)
  })
  return decodeText(bytes, file)
}

function broken (file: string, problem: string, cause?: unknown): RequestError {
  return new RequestError('invalid_request', `reward ${file}: ${problem}`, { cause })
}

/** The error for a name that two files have. */
export function nameTaken ({ name, file }: RewardFamily, other: RewardFamily): RequestError {
  return broken(file, `name "${name}" is already used by ${other.file}`)
}

/** The error for a name that no reward has. @param param the field that names it */
export function rewardNotFound (name: string, families: readonly RewardFamily[], param: string): RequestError {
  return new RequestError('reward_not_found',
    `reward "${name}" does not exist; available: ${families.map(one => one.name).join(', ') || 'none'}`, { param })
}

/** @throws RequestError for a name that a descriptor could not have */
export function checkRewardName (name: string): void {
  if (!Value.Check(naming.name, name)) {
    throw new RequestError('invalid_request',
      'name must consist of at most 64 lower-case letters, digits, _ and -, starting with a letter; ' +
        `got ${JSON.stringify(name)}`,
      { param: 'name' })
  }
}

/**
 * A descriptor as its file holds it, which can be read again.
 * @throws RequestError for a number that is not finite, which JSON has no way to write, and as `parseRewardFamily`
 */
export function descriptorText (descriptor: RewardDescriptor, file: string, remotes: Remotes = noRemotes): string {
  const text = JSON.stringify(descriptor, (field, value: unknown) => {
    if (typeof value !== 'number' || Number.isFinite(value)) return value
    throw new RequestError('invalid_request',
      `reward "${descriptor.name}" cannot be kept: ${field} must be a finite number; got ${value}`)
  })
  parseRewardFamily(text, file, remotes)
  return `${text}\n`
}

/**
 * Reads one descriptor.
 * @param text the file's content
 * @param file its name, for messages
 * @param remotes what remote scorers may reach; default nothing
 * @throws RequestError naming file, field, rule and value
 */
export function parseRewardFamily (text: string, file: string, remotes: Remotes = noRemotes): RewardFamily {
  try {
    const fields = parseJson(text)
    const source = sourceOf(fields, naming, { remotes, folder: dirname(file) })
    const descriptor = fields as unknown as RewardDescriptor
    return Object.freeze({
      name: descriptor.name,
      description: descriptor.description,
      members: [...source.members, ...(source.openNextToken ? ['next_token' as const] : [])],
      get version () { return versionOf(text, source) },
      file,
      descriptor,
      source
    })
  } catch (error) {
    if (error instanceof Violation || error instanceof RequestError) throw broken(file, error.message, error)
    throw error
  }
}

/** The descriptors in a folder (`*.json`, not deeper). @throws RequestError for one that cannot be read */
export async function descriptorFiles (directory: string): Promise<string[]> {
  const entries = await readdir(directory)
    .catch((error: Error) => { throw broken(directory, `cannot read the directory: ${error.message}`, error) })
  return entries.filter(name => name.endsWith('.json')).sort().map(entry => join(directory, entry))
}

/**
 * Every reward family in some folders (`*.json`, not deeper), sorted by name.
 * @param remotes what remote scorers may reach; default nothing
 * @throws RequestError for a folder that cannot be read, a file that is not a valid descriptor, or two files of one
 * name
 */
export async function loadRewards (
  directories: readonly string[], remotes: Remotes = noRemotes
): Promise<RewardFamily[]> {
  const families = new Map<string, RewardFamily>()
  for (const directory of directories) {
    for (const file of await descriptorFiles(directory)) {
      const family = parseRewardFamily(await readDescriptor(file), file, remotes)
      const other = families.get(family.name)
      if (other) throw nameTaken(family, other)
      families.set(family.name, family)
    }
  }
  return [...families.values()].sort((a, b) => a.name < b.name ? -1 : 1)
}
