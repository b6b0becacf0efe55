/** Manifests of models that can be fetched: `models/*.json`. */
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { Type, type Static } from 'typebox'
import { Value } from 'typebox/value'
import { packageRoot } from '../../package-root.js'

const sourceSchema = Type.Union([
  Type.Object({
    type: Type.Literal('huggingface'), repository: Type.String(), revision: Type.String(), path: Type.String()
  }, { additionalProperties: false }),
  Type.Object({ type: Type.Literal('pypi'), package: Type.String(), version: Type.String(), member: Type.String() },
    { additionalProperties: false })
])

const manifestSchema = Type.Object({
  id: Type.String({ pattern: '^[a-z0-9.-]+$' }),
  description: Type.String(),
  licence: Type.String(),
  /** Name of the file in the cache. */
  file: Type.String({ pattern: '^[A-Za-z0-9._-]+$' }),
  sizeBytes: Type.Integer({ minimum: 1 }),
  sha256: Type.String({ pattern: '^[0-9a-f]{64}$' }),
  /** Tried in order. */
  sources: Type.Array(sourceSchema, { minItems: 1 })
}, { additionalProperties: false })

/** A model that can be fetched by name: where from, how large, its SHA-256. */
export type Manifest = Static<typeof manifestSchema>
/** One place that a model can be fetched from. */
export type ModelSource = Static<typeof sourceSchema>

function parse (text: string, name: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new Error(`manifest ${name} is not JSON`, { cause })
  }
}

/** The built-in models. @throws Error naming a manifest that breaks the schema */
export function listManifests (directory = join(packageRoot, 'models')): Manifest[] {
  return readdirSync(directory).filter(name => name.endsWith('.json')).map(name => {
    const value = parse(readFileSync(join(directory, name), 'utf8'), name)
    if (Value.Check(manifestSchema, value)) return value
    const [first] = Value.Errors(manifestSchema, value)
    throw new Error(`manifest ${name}${first?.instancePath ?? ''}: ${first?.message ?? 'not valid'}`)
  })
}
