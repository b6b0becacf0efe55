/**
 * The rewards a server has: those of fixed folders, read once, and those it was given to keep. Every change is kept for
 * good before it counts.
 */
import { RequestError } from '../errors.js'
import {
  descriptorText, loadRewards, nameTaken, parseRewardFamily, rewardNotFound, type RewardDescriptor, type RewardFamily
} from './descriptor.js'
import type { KeptRewards } from './kept-rewards.js'
import type { Remotes } from './kinds/remote.js'

/** Where rewards lie, and what they may reach. */
export interface RewardPlaces {
  /** Folders that are only read. */
  readonly fixed: readonly string[]
  readonly kept: KeptRewards
  /** Origins that remote scorers may have. */
  readonly remotes: Remotes
  /** Receives what is wrong with a shared reward that is passed over. */
  readonly onProblem?: (message: string) => void
}

/** A kept reward, and which version of it was read; null for one that cannot be read here. */
interface Kept { readonly version: string, readonly family: RewardFamily | null }

/** The rewards of one server: those of fixed folders, and those that it was given. */
export class RewardStore {
  readonly #places: RewardPlaces
  /** By name. */
  readonly #fixed: ReadonlyMap<string, RewardFamily>
  /** By file. */
  #kept: ReadonlyMap<string, Kept> = new Map()
  #families: ReadonlyMap<string, RewardFamily>

  private constructor (places: RewardPlaces, fixed: readonly RewardFamily[]) {
    this.#places = places
    this.#families = this.#fixed = new Map(fixed.map(family => [family.name, family]))
  }

  /** @throws RequestError for folders and files that cannot be read, as `loadRewards`; store_unavailable */
  static async open (places: RewardPlaces): Promise<RewardStore> {
    const store = new RewardStore(places, await loadRewards(places.fixed, places.remotes))
    await store.refresh()
    return store
  }

  /**
   * Reads what others have kept or deleted since.
   * @throws RequestError for what cannot be read in a folder; store_unavailable, and then all is as it was
   */
  async refresh (): Promise<void> {
    const { kept } = this.#places
    const now = new Map<string, Kept>()
    for (const { file, version } of await kept.list()) {
      const known = this.#kept.get(file)
      now.set(file, known?.version === version ? known : { version, family: await this.#read(file) })
    }
    this.#take(now)
  }

  async #read (file: string): Promise<RewardFamily | null> {
    const { kept, remotes, onProblem } = this.#places
    const text = await kept.read(file)
    if (text === null) return null
    try {
      const family = parseRewardFamily(text, file, remotes)
      const other = this.#fixed.get(family.name)
      if (other) throw nameTaken(family, other)
      return family
    } catch (error) {
      if (!kept.isShared || !(error instanceof RequestError)) throw error
      onProblem?.(`${error.message}; it is not used here`)
      return null
    }
  }

  /** @throws RequestError for two files of one name */
  #take (now: ReadonlyMap<string, Kept>): void {
    const families = new Map(this.#fixed)
    for (const { family } of now.values()) {
      if (!family) continue
      const other = families.get(family.name)
      if (other) throw nameTaken(family, other)
      families.set(family.name, family)
    }
    this.#kept = now
    this.#families = families
  }

  /** By name. */
  get families (): RewardFamily[] { return [...this.#families.values()].sort((a, b) => a.name < b.name ? -1 : 1) }

  /** Whether a reward is kept here under its name, and may be deleted. */
  isKept ({ name, file }: RewardFamily): boolean { return file === this.#places.kept.fileOf(name) }

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
    if (!replace) throw alreadyTaken(name)
  }

  /**
   * Keeps a reward.
   * @param replace whether one of its name that was kept may go
   * @throws RequestError storage_failed and store_unavailable, and then all is as it was; as `checkFree`
   */
  async save (descriptor: RewardDescriptor, replace = true): Promise<RewardFamily> {
    const { name } = descriptor
    const { kept, remotes } = this.#places
    this.checkFree(name, replace)
    const text = descriptorText(descriptor, kept.fileOf(name), remotes)
    const family = parseRewardFamily(text, kept.fileOf(name), remotes)
    const saved = await kept.save(name, text, replace)
    if (!saved) throw alreadyTaken(name)
    this.#take(new Map([...this.#kept, [saved.file, { version: saved.version, family }]]))
    return family
  }

  /** @throws RequestError for a name that no reward has or that comes with the server; as `save` */
  async delete (name: string): Promise<void> {
    const family = this.#families.get(name)
    if (!family) throw rewardNotFound(name, this.families, 'id')
    if (!this.isKept(family)) {
      throw new RequestError('permission_denied', `reward "${name}" is built-in and cannot be deleted`,
        { param: 'id' })
    }
    await this.#places.kept.delete(family.file)
    this.#take(new Map([...this.#kept].filter(([file]) => file !== family.file)))
  }
}

function alreadyTaken (name: string): RequestError {
  return new RequestError('invalid_request',
    `name "${name}" is already taken; set replace: true to overwrite the reward`, { param: 'name' })
}
