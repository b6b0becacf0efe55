/**
 * The self-test of a processor at one thread count. An operator is tested when a model that needs it is loaded, and the
 * finding is kept on disk for the kernels, library and thread count that it was made with. Knows no models.
 */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { writeAtomically } from '../../atomic-file.js'
import { packageVersion } from '../../package-root.js'
import { loadOnnxRuntime } from '../../runtime/onnx-library.js'
import { Session } from '../../runtime/session.js'
import { canSharePrefix, type AttentionHeads } from '../graph/shared-prefix-attention.js'
import type { MatrixKind } from '../quantization/weight-format.js'
import { testAttention, testSharedPrefix } from './attention-test.js'
import type { Compile, Finding } from './finding.js'
import { kernelSignature } from './kernel-signature.js'
import { operatorName, testProduct } from './product-test.js'

/** Raise it when what is tested, or what is allowed, changes. */
const selfTestVersion = 1

export interface SelfTestOptions {
  readonly threads: number
  /** Folder of earlier findings; null tests anew. */
  readonly cacheDir: string | null
  /** Default: ONNX Runtime's sessions. */
  readonly compile?: Compile
}

export class SelfTest {
  readonly threads: number
  readonly #compile: Compile
  readonly #cacheDir: string | null
  /** Findings by operator. */
  #found: Promise<{ readonly path: string | null, readonly findings: Record<string, Finding> }> | null = null

  constructor ({ threads, cacheDir, compile = Session.create }: SelfTestOptions) {
    this.threads = threads
    this.#compile = compile
    this.#cacheDir = cacheDir
  }

  /** Products with one kind of matrix. */
  product (kind: MatrixKind): Promise<Finding> {
    return this.#find(operatorName(kind), () => testProduct(kind, this.threads, this.#compile))
  }

  /** Decoding behind many keys. */
  attention (heads: AttentionHeads): Promise<Finding> {
    return this.#find(`attention of ${describeHeads(heads)}`, () => testAttention(heads, this.threads, this.#compile))
  }

  /** Decoding of rows that share a prompt; null where a model with these heads cannot share one. */
  async sharedPrefix (heads: AttentionHeads): Promise<Finding | null> {
    if (!canSharePrefix(heads)) return null
    const test = (): Promise<Finding> => testSharedPrefix(heads, this.threads, this.#compile)
    return this.#find(`shared prompts of ${describeHeads(heads)}`, test)
  }

  async #find (name: string, test: () => Promise<Finding>): Promise<Finding> {
    const { path, findings } = await (this.#found ??= this.#read())
    if (findings[name]) return findings[name]
    const finding = await test().catch((error: unknown) => failed(name, error))
    if (!Number.isFinite(finding.error)) return finding
    findings[name] = finding
    // Of two processes that write the file, the later one's findings stay; where it cannot be written, the next load
    // tests again.
    if (path !== null) await writeAtomically(path, JSON.stringify(findings), 'findings').catch(() => {})
    return finding
  }

  async #read (): Promise<{ path: string | null, findings: Record<string, Finding> }> {
    if (this.#cacheDir === null) return { path: null, findings: {} }
    const [{ platform, arch }, { version }] = [process, loadOnnxRuntime()]
    const key = [selfTestVersion, packageVersion, version, platform, arch, await kernelSignature(), this.threads]
    const digest = createHash('sha256').update(key.join('|')).digest('hex').slice(0, 16)
    const path = join(this.#cacheDir, 'self-test', `${digest}.json`)
    const text = await readFile(path, 'utf8').catch(() => '{}')
    return { path, findings: parse(text) }
  }
}

const describeHeads = ({ queryHeads, kvHeads, headSize }: AttentionHeads): string =>
  `${queryHeads} heads, ${kvHeads} key heads, ${headSize} channels`

/** An operator that cannot be run at all: another may take its place. */
const failed = (operator: string, error: unknown): Finding =>
  ({ operator, error: Infinity, tolerance: 0, rowsAlike: false, failure: (error as Error).message })

/** A damaged file is as good as none. */
function parse (text: string): Record<string, Finding> {
  try {
    const entries = Object.entries(JSON.parse(text) as Record<string, Finding>)
    return Object.fromEntries(entries.filter(([, { error, tolerance }]) => [error, tolerance].every(Number.isFinite)))
  } catch {
    return {}
  }
}
