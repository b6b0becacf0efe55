/** JSON files of a model's folder. */
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { decodeText } from '../../text-file.js'
import { isObject } from '../../validation.js'
import { refuseModel } from './decoder-tensors.js'

/** An object of a JSON file, not yet checked. */
export type Fields = Readonly<Record<string, unknown>>

/** Whether there is something at a path. */
export const exists = (path: string): Promise<boolean> => stat(path).then(() => true, () => false)

/** @throws RequestError if it is missing or holds no object */
export async function readJson (folder: string, name: string): Promise<Fields> {
  const bytes =
    await readFile(join(folder, name)).catch(() => { throw refuseModel({ path: folder }, `it has no ${name}`) })
  const text = decodeText(bytes, join(folder, name))
  try {
    const value: unknown = JSON.parse(text)
    if (isObject(value)) return value
  } catch {}
  throw refuseModel({ path: folder }, `${name} must hold a JSON object`)
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
