/** JSON files of a model's folder. What is read is bounded in size and depth, so that what reads it may recurse. */
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { decodeText } from '../../text-file.js'
import { isObject } from '../../validation.js'
import { readWhole } from './binary-files.js'
import { refuseModel } from './decoder-tensors.js'

/** An object of a JSON file, not yet checked. */
export type Fields = Readonly<Record<string, unknown>>

/** Whether there is something at a path. */
export const exists = (path: string): Promise<boolean> => stat(path).then(() => true, () => false)

/** Largest JSON file that is read, bytes. The tokenizers of the largest vocabularies have 40 MB. */
export const maxJsonBytes = 128 << 20
/** Lists and objects within each other, at most. */
const maxLevels = 64

/** Whether lists and objects lie in each other more than some levels deep. Does not recurse. */
function isDeeper (value: unknown, levels: number): boolean {
  let layer = [value]
  for (let level = 0; layer.length > 0; level++) {
    layer = layer.flatMap(one => typeof one === 'object' && one !== null ? Object.values(one) : [])
      .filter(one => typeof one === 'object' && one !== null)
    if (level >= levels && layer.length > 0) return true
  }
  return false
}

/**
 * A JSON object from its text.
 * @throws Error saying what else it is
 */
export function parseObject (text: string): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw new Error(`it is not JSON (${(error as Error).message})`, { cause: error })
  }
  if (!isObject(value)) throw new Error('it is not an object')
  if (isDeeper(value, maxLevels)) throw new Error(`it is nested more than ${maxLevels} levels deep`)
  return value
}

/** @throws RequestError if it is missing, too large, or holds no object */
export async function readJson (folder: string, name: string): Promise<Fields> {
  const bytes = await readWhole(join(folder, name), maxJsonBytes).catch((error: NodeJS.ErrnoException) => {
    throw refuseModel({ path: folder },
      error.code === 'ENOENT' ? `it has no ${name}` : `cannot read ${name}: ${error.message}`)
  })
  const text = decodeText(bytes, join(folder, name))
  try {
    return parseObject(text)
  } catch (error) {
    throw refuseModel({ path: folder }, `${name} must hold a JSON object: ${(error as Error).message}`)
  }
}

/** Fields that would change what is computed, with the values under which they do not. */
export type FixedFields = ReadonlyArray<readonly [field: string, values: readonly unknown[]]>

/** @throws RequestError for a field with another value */
export function checkFixedFields (folder: string, name: string, fields: Fields, fixed: FixedFields): void {
  for (const [field, values] of fixed) {
    if (!values.includes(fields[field])) {
      throw refuseModel({ path: folder },
        `${name}: ${field} = ${JSON.stringify(fields[field])?.slice(0, 80)} is not supported`)
    }
  }
}

/** {} where there is none. @throws RequestError if it holds no object */
export const readJsonIfThere = async (folder: string, name: string): Promise<Fields> =>
  await exists(join(folder, name)) ? readJson(folder, name) : {}
