/**
 * The rewards a server has: those of fixed folders, read once, and those it was given to keep, in a folder that it
 * writes. Every change is on disk before it counts.
 */
import { access, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { RequestError } from '../errors.js'
import { storageError, writeAtomically } from '../atomic-file.js'
import {
  descriptorText, loadRewards, parseRewardFamily, rewardNotFound, type RewardDescriptor, type RewardFamily
} from './descriptor.js'
import type { Remotes } from './kinds/remote.js'

/** Where rewards lie, and what they may reach. */
export interface RewardFolders {
  /** Read only. */
  readonly fixed: readonly string[]
  /** Written; need not be there yet. */
  readonly kept: string
  /** Origins that remote scorers may have. */
  readonly remotes: Remotes
}

const exists = async (path: string): Promise<boolean> => await access(path).then(() => true, () => false)

/** The rewards of one server: those of fixed folders, and those that it was given. */
export class RewardStore {
  readonly #folders: RewardFolders
  readonly #families: Map<string, RewardFamily>

  private constructor (folders: RewardFolders, families: readonly RewardFamily[]) {
    this.#folders = folders
    this.#families = new Map(families.map(family => [family.name, family]))
  }

  /** @throws RequestError for folders and files that cannot be read, as `loadRewards` */
  static async open (folders: RewardFolders): Promise<RewardStore> {
    const { fixed, kept, remotes } = folders
    return new RewardStore(folders, await loadRewards(await exists(kept) ? [...fixed, kept] : fixed, remotes))
  }

  /** By name. */
  get families (): RewardFamily[] { return [...this.#families.values()].sort((a, b) => a.name < b.name ? -1 : 1) }

  /** Whether a reward is kept here, and may be deleted. */
  isKept ({ name, file }: RewardFamily): boolean { return file === this.#fileOf(name) }

  #fileOf (name: string): string { return join(this.#folders.kept, `${name}.json`) }

  /**
   * Whether a reward may be saved under a name.
   * @param replace whether a kept one of the name may go
   * @throws RequestError saying whose the name is
   */
  checkFree (name: string, replace: boolean): void {
    const family = this.#families.get(name)
    if (!family) return
    if (!this.isKept(family)) {
      throw new RequestError('invalid_request', `name "${name}" belongs to a built-in reward`,
        { param: 'name' })
    }
    if (!replace) {
      throw new RequestError('invalid_request',
        `name "${name}" is already taken; set replace: true to overwrite the reward`, { param: 'name' })
    }
  }

  /**
   * Keeps a reward; one of its name that was kept goes.
   * @throws RequestError storage_failed, and then all is as it was; as `checkFree`
   */
  async save (descriptor: RewardDescriptor): Promise<RewardFamily> {
    this.checkFree(descriptor.name, true)
    const file = this.#fileOf(descriptor.name)
    const text = descriptorText(descriptor, file, this.#folders.remotes)
    const family = parseRewardFamily(text, file, this.#folders.remotes)
    await writeAtomically(file, text, 'rewards')
    this.#families.set(family.name, family)
    return family
  }

  /** @throws RequestError for a name that no reward has or that comes with the server; storage_failed */
  async delete (name: string): Promise<void> {
    const family = this.#families.get(name)
    if (!family) throw rewardNotFound(name, this.families, 'id')
    if (!this.isKept(family)) {
      throw new RequestError('permission_denied', `reward "${name}" is built-in and cannot be deleted`,
        { param: 'id' })
    }
    await rm(family.file, { force: true })
      .catch((error: unknown) => { throw storageError('changes', this.#folders.kept, error) })
    this.#families.delete(name)
  }
}
