/**
 * Bodies made from /openapi.json, each with one field that is not as it should be: too long, too deep, too large, of
 * another type. The same seed makes the same bodies.
 */
import type { Attack, Attacker } from '../attack.js'

type Schema = Readonly<Record<string, any>>

/** What can be posted. */
interface Operation { readonly path: string, readonly method: string, readonly body: Schema | null }

/** Values for any field, by what is odd about them. */
const oddValues: Readonly<Record<string, () => unknown>> = {
  null: () => null,
  true: () => true,
  zero: () => 0,
  negative: () => -1,
  fraction: () => 0.5,
  large: () => 1e15,
  larger: () => 1e308,
  text: () => 'x',
  empty: () => '',
  'long text': () => 'x'.repeat(300_000),
  'zero bytes': () => '\u0000'.repeat(100),
  surrogate: () => '\uD800',
  'wide text': () => '🙂'.repeat(50_000),
  list: () => [],
  'long list': () => new Array(100_000).fill(1),
  'list of texts': () => new Array(20_000).fill('a'),
  'list of objects': () => new Array(20_000).fill({}),
  object: () => ({}),
  'wide object': () => Object.fromEntries(Array.from({ length: 20_000 }, (_, index) => [`k${index}`, index])),
  deep: () => Array.from({ length: 2000 }).reduce<unknown>(inner => [inner], 1),
  'deep object': () => Array.from({ length: 60 }).reduce<unknown>(inner => ({ a: inner }), 1)
}

/** Bodies that are sent at a time. */
const lanes = 3

/** Depth below which a body is no longer filled in. */
const maxDepth = 6

/** A value that a schema allows, as small as it can be. */
function sample (schema: Schema, victimModel: string, depth = 0): unknown {
  const { anyOf, oneOf, enum: choices, const: constant, type, properties, items, required = [], minItems = 1 } = schema
  if (constant !== undefined) return constant
  if (Array.isArray(choices)) return choices[0]
  const [first] = (anyOf ?? oneOf ?? []) as Schema[]
  if (first) return sample(first, victimModel, depth)
  if (type === 'object' || properties) {
    return Object.fromEntries((required as string[]).map(name =>
      [name, name === 'model' ? victimModel : sample(properties?.[name] ?? {}, victimModel, depth + 1)]))
  }
  if (type === 'array') {
    return depth > maxDepth
      ? []
      : Array.from({ length: Math.max(1, minItems) }, () =>
        sample(items ?? {}, victimModel, depth + 1))
  }
  if (type === 'integer' || type === 'number') return schema['minimum'] ?? 1
  return type === 'boolean' ? false : 'a'
}

/** Places in a schema's objects, as paths. */
function fieldsOf (schema: Schema, path: readonly string[] = []): string[][] {
  if (path.length > 4) return []
  const inner = [schema, ...(schema['anyOf'] ?? schema['oneOf'] ?? []) as Schema[]]
  return inner.flatMap(one => [
    ...Object.entries((one['properties'] ?? {}) as Record<string, Schema>).flatMap(([name, field]) =>
      [[...path, name], ...fieldsOf(field, [...path, name])]),
    ...one['items'] ? fieldsOf(one['items'] as Schema, [...path, '0']) : []
  ])
}

/** Puts a value somewhere; what is missing on the way is made. */
function put (body: any, [name, ...rest]: readonly string[], value: unknown): any {
  const copy = Array.isArray(body) ? [...body] : { ...body as object }
  copy[name as never] = (rest.length === 0
    ? value
    : put(copy[name as never] ?? (rest[0] === '0' ? [] : {}), rest, value)) as never
  return copy
}

/** Operations that would end what the campaign needs. */
const isLeftOut = (path: string): boolean => /^\/(?:docs|openapi)/.test(path)

async function operationsOf ({ victim }: Attacker): Promise<Operation[]> {
  const headers = { authorization: `Bearer ${victim.keys.admin}` }
  const answer = await fetch(`${victim.url}/openapi.json`, { headers })
  const { paths } = await answer.json() as { paths: Record<string, Record<string, Schema>> }
  return Object.entries(paths).flatMap(([path, methods]) => isLeftOut(path)
    ? []
    : Object.entries(methods).map(([method, { requestBody }]) => ({
      path: path.replaceAll(/\{[^}]+\}/g, 'none'),
      method: method.toUpperCase(),
      body: (requestBody?.['content']?.['application/json']?.schema ?? null) as Schema | null
    })))
}

/** An odd body for an operation, and what is odd about it. */
function oddBody ({ body, path }: Operation, model: string, random: () => number): { text: string, what: string } {
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!
  const base = sample(body!, model) as Schema
  const bounded = { ...base, ...base['messages'] || base['prompt'] ? { max_tokens: 2 } : {} }
  const places = fieldsOf(body!)
  const place = places.length === 0 ? ['field'] : pick(places)
  const [name, make] = pick(Object.entries(oddValues))
  return { text: JSON.stringify(put(bounded, place, make())), what: `${path} ${place.join('.')}: ${name}` }
}

async function fuzz (attacker: Attacker): Promise<void> {
  const operations = await operationsOf(attacker)
  const posts = operations.filter(({ body }) => body !== null)
  const pick = <T>(list: readonly T[]): T => list[Math.floor(attacker.random() * list.length)]!
  /** Sends one after the other until the time is over. */
  const lane = async (): Promise<void> => {
    while (!attacker.over.aborted) {
      const operation = pick(posts)
      const { text, what } = oddBody(operation, attacker.victim.model, attacker.random)
      const holder = attacker.random() < 0.2 ? 'admin' : 'attacker'
      const { status, text: answer } = await attacker.send(operation.path, text,
        { holder, method: operation.method, signal: AbortSignal.timeout(3000) })
      if (status >= 500) attacker.tally.faults.push(`${what} (${answer.slice(0, 200)})`)
    }
  }
  await Promise.all(Array.from({ length: lanes }, lane))
}

/** Paths and queries that are not as they should be. */
async function oddPaths (attacker: Attacker): Promise<void> {
  const operations = await operationsOf(attacker)
  const odd = ['%', '%00', '%2e%2e%2f', '..', 'a'.repeat(8000), '%F1', '🙂', '__proto__', 'constructor', '-1', '1e99']
  for (const { path, method } of operations) {
    for (const one of odd) {
      if (attacker.over.aborted) return
      await attacker.send(path.replaceAll('none', encodeURI(one).replaceAll('%25', '%')), '{}',
        { method, signal: AbortSignal.timeout(2000) })
      await attacker.send(`${path}?limit=${one}&after=${one}&order=${one}&${one}=1`.replaceAll(' ', ''), '{}',
        { method, signal: AbortSignal.timeout(2000) })
    }
  }
}

export const fuzzAttacks: readonly Attack[] = [
  { name: 'fields', what: 'bodies from /openapi.json with one odd field each', longer: 4, isFlood: true, run: fuzz },
  { name: 'paths', what: 'odd identifiers and queries on every path', isFlood: true, run: oddPaths }
]
