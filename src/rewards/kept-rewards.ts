/** Where rewards are kept that a server was given: in a folder of its own, or wherever this is implemented. */
import { access, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { storageError, writeAtomically } from '../atomic-file.js'
import { descriptorFiles, readDescriptor } from './descriptor.js'

/** A kept descriptor. */
export interface KeptReward {
  /** What it is called in messages; its folder is where paths in it start. */
  readonly file: string
  /** Another one once it was replaced, where others than this process may do so. */
  readonly version: string
}

/** Descriptors by name. Every change is kept for good before it counts. */
export interface KeptRewards {
  /** Whether other processes change them; then one that this process cannot read is passed over. */
  readonly isShared: boolean
  /** @throws RequestError where they cannot be read */
  list (): Promise<readonly KeptReward[]>
  /** A descriptor's text; null where it has just gone. @throws RequestError where it cannot be read */
  read (file: string): Promise<string | null>
  fileOf (name: string): string
  /**
   * @param replace whether one of the name may go
   * @returns null where one of the name is there and may not go
   * @throws RequestError storage_failed or store_unavailable, and then all is as it was
   */
  save (name: string, text: string, replace: boolean): Promise<KeptReward | null>
  /** @throws RequestError as `save` */
  delete (file: string): Promise<void>
}

const exists = async (path: string): Promise<boolean> => await access(path).then(() => true, () => false)

/** A folder that one process writes; need not be there yet. */
export class FolderRewards implements KeptRewards {
  readonly isShared = false
  readonly #folder: string

  constructor (folder: string) { this.#folder = folder }

  fileOf (name: string): string { return join(this.#folder, `${name}.json`) }

  async list (): Promise<KeptReward[]> {
    const files = await exists(this.#folder) ? await descriptorFiles(this.#folder) : []
    return files.map(file => ({ file, version: '' }))
  }

  read (file: string): Promise<string> { return readDescriptor(file) }

  async save (name: string, text: string, replace: boolean): Promise<KeptReward | null> {
    const file = this.fileOf(name)
    if (!replace && await stat(file).then(found => found.isFile(), () => false)) return null
    await writeAtomically(file, text, 'rewards')
    return { file, version: '' }
  }

  async delete (file: string): Promise<void> {
    await rm(file, { force: true })
      .catch((error: unknown) => { throw storageError('changes', this.#folder, error) })
  }
}
