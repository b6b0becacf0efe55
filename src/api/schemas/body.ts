/**
 * Bodies in OpenAI's and vLLM's shapes: fields without effect or with a neutral value are passed over, those that would
 * change what is meant are refused, unknown ones are named.
 */
import type { TObject } from 'typebox'
import { Checker, type UnknownRule } from '../../checker.js'
import { nearestName, refuse } from '../../validation.js'

/** Accepted, without effect by OpenAI's own specification. */
const withoutEffect: ReadonlySet<string> = new Set(['service_tier', 'prompt_cache_key', 'safety_identifier',
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
  best_of: 'say alignment: {strategy: "best_of_n", num_candidates, reward}',
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

/** @param elsewhere names of other endpoints' fields and what to say here */
const unknownIn = (elsewhere: Readonly<Record<string, string>>): UnknownRule => (name, value) => {
  if (withoutEffect.has(name)) return false
  if (Object.hasOwn(elsewhere, name)) throw refuse(name, `is not a field here: ${elsewhere[name]}`, value)
  if (Object.hasOwn(neutral, name) && neutral[name]!(value)) return false
  if (Object.hasOwn(otherServers, name)) throw refuse(name, `is not a field here: ${otherServers[name]}`, value)
  if (Object.hasOwn(neutral, name)) throw refuse(name, 'is not supported by this server', value)
  if (nearestName(name, ['alignment']) !== null) throw refuse(name, 'is not a field; did you mean alignment?', value)
  return true
}

/**
 * The checker of a body in a shape that others defined.
 * @param elsewhere names of other endpoints' fields and what to say here
 */
export const openBody = <S extends TObject>(
  schema: S, elsewhere: Readonly<Record<string, string>> = {}
): Checker<S> => new Checker(schema, { unknown: unknownIn(elsewhere) })
