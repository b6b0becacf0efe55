/**
 * Reads a request's body: known fields by their schema, fields without effect or with a neutral value passed over,
 * fields that would change what is meant refused, unknown ones named.
 */
import type { Static, TObject, TProperties } from 'typebox'
import { checkFields, nearestName, objectBody, refuse } from '../../validation.js'

/** Accepted, without effect by OpenAI's own specification. */
export const withoutEffect: ReadonlySet<string> = new Set(['service_tier', 'prompt_cache_key', 'safety_identifier',
  'verbosity', 'reasoning_effort', 'reasoning', 'user', 'metadata', 'parallel_tool_calls', 'max_tool_calls',
  'prompt_cache_retention', 'prompt_cache_options'])

const emptyList = (value: unknown): boolean => Array.isArray(value) && value.length === 0
const never = (): boolean => false

/** Values that ask for nothing, of fields that are not supported otherwise. */
const neutral: Readonly<Record<string, (value: unknown) => boolean>> = {
  tools: emptyList,
  tool_choice: value => value === 'none' || value === 'auto',
  modalities: value => Array.isArray(value) && value.length === 1 && value[0] === 'text',
  store: value => value === false,
  audio: never,
  functions: emptyList,
  function_call: value => value === 'none',
  web_search_options: never,
  suffix: value => value === '',
  length_penalty: value => value === 1,
  bad_words: emptyList,
  allowed_token_ids: never,
  prompt_logprobs: never,
  truncate_prompt_tokens: never,
  spaces_between_special_tokens: value => value === true,
  logits_processors: emptyList,
  custom_logit_processor: never,
  chat_template: never,
  chat_template_kwargs: value => typeof value === 'object' && value !== null && Object.keys(value).length === 0,
  documents: emptyList,
  dimensions: never,
  best_of: value => value === 1,
  conversation: never,
  context_management: emptyList,
  moderation: never,
  echo: value => value === false
}

const structure = 'say response_format: {type: "json_schema", json_schema: {name, schema}}'

/** Fields of other servers that would change what is meant: refused with what to say here. */
const otherServers: Readonly<Record<string, string>> = {
  use_beam_search: 'say alignment: {strategy: "beam_search", num_beams, num_children, reward}',
  guided_json: structure,
  guided_regex: structure,
  guided_choice: structure,
  guided_grammar: structure,
  structured_outputs: structure,
  num_candidates: 'it belongs into alignment',
  strategy: 'it belongs into alignment',
  reward: 'it belongs into alignment',
  rewards: 'it belongs into alignment',
  guidance: 'the field is called alignment'
}

/**
 * Sorts out what is not in the schema.
 * @param elsewhere names of other endpoints' fields and what to say here
 * @returns the names that are ignored
 */
function unknownFields (
  body: Record<string, unknown>, known: TProperties, elsewhere: Readonly<Record<string, string>>
): string[] {
  const ignored: string[] = []
  for (const [name, value] of Object.entries(body)) {
    if (Object.hasOwn(known, name) || withoutEffect.has(name) || value === null || value === undefined) continue
    if (Object.hasOwn(elsewhere, name)) throw refuse(name, `is not a field here: ${elsewhere[name]}`, value)
    const isNeutral = Object.hasOwn(neutral, name) ? neutral[name]! : null
    if (isNeutral?.(value)) continue
    if (name === 'best_of') {
      throw refuse(name, 'is not a field here: say alignment: {strategy: "best_of_n", num_candidates, reward}', value)
    }
    if (isNeutral) throw refuse(name, 'is not supported by this server', value)
    if (Object.hasOwn(otherServers, name)) throw refuse(name, `is not a field here: ${otherServers[name]}`, value)
    if (nearestName(name, ['alignment']) !== null) throw refuse(name, 'is not a field; did you mean alignment?', value)
    ignored.push(name)
  }
  return ignored
}

function freeValue (name: string, value: unknown): unknown {
  if (value === undefined || value === null) return null
  if (freeObjects.includes(name) &&
      (typeof value !== 'object' || Array.isArray(value))) throw refuse(name, 'must be an object', value)
  return value
}

/** Objects whose keys their own readers check. */
const freeObjects = ['alignment', 'logit_bias', 'response_format', 'text']

/** All that has readers of its own. */
const freeFields = [...freeObjects, 'tools', 'tool_choice']

/**
 * Checks a body and fills defaults in.
 * @param elsewhere names of other endpoints' fields and what to say here
 * @returns the body, and the names of top-level fields that nobody knows
 * @throws RequestError naming the field, the rule and the value
 */
export function readBody<P extends TProperties> (
  schema: TObject<P>, value: unknown, elsewhere: Readonly<Record<string, string>> = {}
): { body: Static<TObject<P>>, ignored: readonly string[] } {
  const given = objectBody(value)
  const ignored = unknownFields(given, schema.properties, elsewhere)
  const isFree = (name: string): boolean => freeFields.includes(name)
  const known = Object.fromEntries(Object.entries(given).filter(([name]) =>
    Object.hasOwn(schema.properties, name) && !isFree(name)))
  const free = Object.fromEntries(freeFields.filter(name => Object.hasOwn(schema.properties, name)).map(name =>
    [name, freeValue(name, given[name])]))
  return { body: { ...checkFields(schema, known, ''), ...free }, ignored }
}
