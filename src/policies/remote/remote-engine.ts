/** An engine elsewhere as requests use it: its replicas, how it is spoken to, what it can do. */
import type { EngineProtocol } from './engine-call.js'
import type { EngineField } from './engine-fields.js'
import type { EngineHeads } from './engine-heads.js'
import type { Replica } from './replica.js'
import { Replicas } from './replicas.js'

/** What was found out of an engine when it was probed: what is told of it to operators. Plain data. */
export interface EngineReport {
  /** Name and version, as far as it says. */
  readonly server: string
  /** Base URLs of its replicas. */
  readonly urls: readonly string[]
  /** Name of the protocol that it is spoken to by. */
  readonly protocol: string
  /** What it calls the model. */
  readonly model: string
  /** Longest prompt and answer together, tokens. */
  readonly contextLength: number
  /** Most probable tokens that it reports per token, at most 20. */
  readonly alternatives: number
  /** Fields that have the effect they should have. */
  readonly fields: readonly EngineField[]
  /** The others. */
  readonly ignored: readonly EngineField[]
  /** Whether it says how many tokens of a prompt came from its cache. */
  readonly countsCachedTokens: boolean
  /** Names of heads that it computes. */
  readonly heads: readonly string[]
  /** Of those, the ones by whose Q-heads it guides tokens. */
  readonly guidingHeads: readonly string[]
  /** What it does otherwise than asked, or could not be found out. */
  readonly notes: readonly string[]
}

export class RemoteEngine {
  readonly replicas: Replicas
  readonly protocol: EngineProtocol
  readonly report: EngineReport
  /** Null where it has none. */
  readonly heads: EngineHeads | null

  constructor (
    replicas: readonly Replica[], protocol: EngineProtocol, report: EngineReport, heads: EngineHeads | null = null
  ) {
    this.replicas = new Replicas(replicas)
    this.protocol = protocol
    this.report = report
    this.heads = heads
  }

  has (field: EngineField): boolean { return this.report.fields.includes(field) }

  /** The replicas that say that they are well now. */
  async well (): Promise<readonly Replica[]> {
    const { all } = this.replicas
    const well = await Promise.all(all.map(replica => replica.check()))
    return all.filter((_, index) => well[index])
  }

  async close (): Promise<void> { await this.replicas.close() }
}
