/**
 * Forms from the schemas in `/openapi.json`: the fields of every strategy and of sampling, with type, range, default
 * and description. A new strategy appears without a change of the page.
 */

type Schema = Readonly<Record<string, unknown>>

/** A field of a form. */
export interface Field {
  readonly name: string
  readonly kind: 'integer' | 'number' | 'boolean' | 'choice' | 'text' | 'json'
  readonly description: string
  /** What the server takes where the field is left out; undefined where the schema does not say. */
  readonly initial: unknown
  readonly min?: number
  readonly max?: number
  readonly choices?: readonly string[]
  /** Whether null is a value: "none". */
  readonly mayBeNull: boolean
}

/** A strategy with its own fields; those of every strategy come last. */
export interface StrategyForm {
  readonly name: string
  readonly fields: readonly Field[]
  /** The fields that are always shown; the others are behind "more" until they are changed. */
  readonly main: readonly string[]
}

/** Values as they are changed, by field; a field that is not there has its default. */
export type Values = Readonly<Record<string, unknown>>

const isObject = (value: unknown): value is Schema =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** The alternatives of a schema, nested ones too, and whether null is one of them. */
function alternatives (schema: Schema): { readonly others: readonly Schema[], readonly mayBeNull: boolean } {
  const parts = (schema['anyOf'] ?? schema['oneOf']) as readonly Schema[] | undefined
  if (!parts) {
    const mayBeNull = schema['type'] === 'null'
    return { others: mayBeNull ? [] : [schema], mayBeNull }
  }
  const inner = parts.map(alternatives)
  return { others: inner.flatMap(one => one.others), mayBeNull: inner.some(one => one.mayBeNull) }
}

/** The first value of a key in a schema or in what it is an alternative of. */
function find (schema: Schema, key: string): unknown {
  if (key in schema) return schema[key]
  for (const part of (schema['anyOf'] ?? schema['oneOf'] ?? []) as readonly Schema[]) {
    const found = find(part, key)
    if (found !== undefined) return found
  }
  return undefined
}

function kindOf (others: readonly Schema[]): Pick<Field, 'kind' | 'choices'> {
  const [one] = others
  if (others.length !== 1 || !one) return { kind: 'json' }
  if (Array.isArray(one['enum'])) return { kind: 'choice', choices: one['enum'].map(String) }
  switch (one['type']) {
    case 'integer': case 'number': case 'boolean': return { kind: one['type'] }
    case 'string': return { kind: 'text' }
    default: return { kind: 'json' }
  }
}

/** A property as a field. Every optional field may be null, which means that it is absent: that is no value here. */
export function fieldOf (name: string, schema: Schema): Field {
  const { others } = alternatives(schema)
  const { kind, choices } = kindOf(others)
  const initial = find(schema, 'default')
  const [one] = others
  const bound = (key: string): number | undefined => typeof one?.[key] === 'number' ? one[key] : undefined
  const min = bound('minimum') ?? bound('exclusiveMinimum')
  const max = bound('maximum') ?? bound('exclusiveMaximum')
  return {
    name,
    kind,
    description: String(find(schema, 'description') ?? ''),
    initial,
    mayBeNull: initial === null,
    ...(choices ? { choices } : {}),
    ...(kind !== 'json' && min !== undefined ? { min } : {}),
    ...(kind !== 'json' && max !== undefined ? { max } : {})
  }
}

/** What the page asks for itself: rewards have a control of their own, and the journal tells the rest. */
const apart = ['strategy', 'reward', 'rewards', 'return_candidates', 'return_progress', 'return_trace']

const bodyOf = (openapi: unknown): Schema => {
  const at = ['paths', '/v1/chat/completions', 'post', 'requestBody', 'content', 'application/json', 'schema',
    'properties']
  return at.reduce<unknown>((inner, key) => isObject(inner) ? inner[key] : undefined, openapi) as Schema ?? {}
}

/** Kinds of fields that are shown first: what a search is sized by. */
const mainKinds: ReadonlyArray<Field['kind']> = ['integer', 'number', 'choice']

/** The strategies that a server has, in its order. */
export function strategyForms (openapi: unknown): StrategyForm[] {
  const alignment = bodyOf(openapi)['alignment']
  if (!isObject(alignment)) return []
  const schemas = alternatives(alignment).others.map(one => one['properties']).filter(isObject)
  const names = schemas.map(one => one['strategy']).map(one => isObject(one)
    ? find(one, 'enum') ?? [find(one, 'const')]
    : [])
  const isCommon = (field: string): boolean => schemas.every(one => field in one)
  return schemas.map((properties, index) => {
    const all = Object.entries(properties).filter(([name]) => !apart.includes(name))
      .map(([name, schema]) => fieldOf(name, schema as Schema))
    const own = all.filter(({ name }) => !isCommon(name))
    return {
      name: String((names[index] as readonly unknown[])[0]),
      fields: [...own, ...all.filter(({ name }) => isCommon(name))],
      main: own.filter(({ kind, mayBeNull }) => mainKinds.includes(kind) && !mayBeNull)
        .slice(0, 2).map(({ name }) => name)
    }
  })
}

const samplingNames = ['temperature', 'top_p', 'top_k', 'min_p', 'frequency_penalty', 'presence_penalty',
  'repetition_penalty', 'min_tokens', 'stop', 'ignore_eos']

/** The fields of sampling that make sense in every run. */
export function samplingFields (openapi: unknown): Field[] {
  const body = bodyOf(openapi)
  return samplingNames.filter(name => isObject(body[name])).map(name => fieldOf(name, body[name] as Schema))
}

/** A value as text for its control. */
export function textOf ({ kind }: Field, value: unknown): string {
  if (value === undefined || value === null) return ''
  return kind === 'json' ? JSON.stringify(value) : String(value)
}

/**
 * What a control's text means: undefined for the default.
 * @throws Error that says what is wrong with it; ranges and rules between fields are the server's to check
 */
export function valueOf (field: Field, text: string): unknown {
  const trimmed = text.trim()
  if (trimmed === '') return undefined
  switch (field.kind) {
    case 'integer': case 'number': {
      const value = Number(trimmed)
      if (Number.isNaN(value)) throw new Error(`must be a number; got "${trimmed}"`)
      return value
    }
    case 'boolean': return trimmed === 'true'
    case 'json':
      try {
        return JSON.parse(trimmed) as unknown
      } catch {
        // A plain word is a string: `stop` and `extract` take one.
        if (/^[^[{"]/.test(trimmed)) return trimmed
        throw new Error('must be JSON, such as ' + JSON.stringify(field.initial ?? {}))
      }
    default: return text
  }
}

const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b)

/** Values with one changed; a value that equals the default is left out. */
export function withValue (values: Values, field: Field, value: unknown): Values {
  const { [field.name]: _, ...others } = values
  return value === undefined || same(value, field.initial) ? others : { ...others, [field.name]: value }
}
