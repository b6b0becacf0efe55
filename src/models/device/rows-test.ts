/**
 * Tests what the bits of a row depend on, on a model that is loaded onto a device: the row alone and among others, and
 * a prompt in one piece and in several. The shaders of all kinds of runs are compiled on the way.
 */
import { randomNumbers, sameBits } from '../self-test/finding.js'
import type { DeviceDecoder, PackedOutput, PackedPass } from './device-decoder.js'

/** What was found. */
export interface RowFindings {
  /** Numbers that are none: nothing may be served on them. */
  readonly problems: readonly string[]
  /** What a row's bits depend on beside its own sequence. */
  readonly notes: readonly string[]
}

/** A sequence's tokens in a run. */
interface Part { readonly tokens: readonly number[], readonly past: number, readonly blocks: readonly number[] }

/** Runs the last tokens of parts, four at least, with hidden states of the last layer. */
async function outputsOf (
  decoder: DeviceDecoder, parts: readonly Part[], longestPart: number
): Promise<Float32Array[]> {
  const filler: Part = { tokens: [0], past: 0, blocks: [0] }
  const all = [...parts, ...Array.from({ length: Math.max(0, 4 - parts.length) }, () => filler)]
  const ends: number[] = []
  for (const { tokens } of all) ends.push((ends.at(-1) ?? 0) + tokens.length)
  const rows = Int32Array.from(ends, end => end - 1)
  const pass: PackedPass = {
    tokenIds: Int32Array.from(all.flatMap(({ tokens }) => tokens)),
    cumulativeLengths: Int32Array.of(0, ...ends),
    pastLengths: Int32Array.from(all, ({ past }) => past),
    blockTables: Int32Array.from(all.flatMap(({ blocks }) =>
      Array.from({ length: decoder.maxBlocksPerSequence }, (_, index) => blocks[index] ?? 0))),
    longestPart,
    longestSequence: Math.max(...all.map(({ tokens, past }) => past + tokens.length)),
    rows,
    inverseTemperatures: new Float32Array(rows.length).fill(1),
    logitRows: [],
    stateLayers: [decoder.layers],
    stateRows: rows
  }
  const output = await decoder.run(pass)
  return parts.map((_, index) => rowOf(decoder, output, index))
}

/** Everything that a run says of a row. */
function rowOf (decoder: DeviceDecoder, output: PackedOutput, index: number): Float32Array {
  const { topK, hiddenSize, layers } = decoder
  const slice = (values: Float32Array, width: number): Float32Array =>
    values.subarray(index * width, (index + 1) * width)
  return Float32Array.from([
    ...slice(output.topLogits, topK), ...slice(output.logNormalizers, 1),
    ...slice(output.hidden.get(layers)!, hiddenSize)
  ])
}

/**
 * Whether recorded decode runs give what plain ones give, over sequences that grow in several blocks.
 * @param plain with at least eight blocks, all free
 * @param recording the same model with recorded runs
 */
export async function testCaptures (
  plain: DeviceDecoder, recording: DeviceDecoder, vocabularySize: number
): Promise<boolean> {
  const random = randomNumbers(9)
  const draw = (count: number): number[] =>
    Array.from({ length: count }, () => Math.floor(vocabularySize * random()))
  const room = Math.min(plain.maxBlocksPerSequence * plain.blockSize, 2 * plain.blockSize)
  const length = Math.min(plain.blockSize - 2, room - 4)
  const start = [1, 2, 3].map((block): Part => ({ tokens: draw(length), past: 0, blocks: [block, block + 3] }))
  for (const decoder of [plain, recording]) await outputsOf(decoder, start, length)
  for (let step = 0; step < 4; step++) {
    // Other companies, over the end of a block.
    const next = start.slice(step % 2).map((part): Part => ({ ...part, tokens: draw(1), past: length + step }))
    const [a, b] = [await outputsOf(plain, next, 1), await outputsOf(recording, next, 1)]
    if (!a.every((row, index) => sameBits(row, b[index]!))) return false
  }
  return true
}

/** What a row's bits depend on that is not its own sequence's. @param decoder with at least eight blocks, all free */
export async function testRows (decoder: DeviceDecoder, vocabularySize: number): Promise<RowFindings> {
  const random = randomNumbers(5)
  const draw = (count: number): number[] =>
    Array.from({ length: count }, () => Math.floor(vocabularySize * random()))
  const longest = Math.min(70, decoder.maxBlocksPerSequence * decoder.blockSize - 1)
  const prompt = draw(longest)
  const blocks = Array.from({ length: Math.ceil((longest + 1) / decoder.blockSize) }, (_, index) => 1 + index)
  const [notes, problems]: [string[], string[]] = [[], []]
  /** The last row of a prompt that is run in pieces. */
  const inPieces = async (cuts: readonly number[], bound: number): Promise<Float32Array> => {
    let [past, row] = [0, new Float32Array()]
    for (const cut of cuts) {
      [row] = await outputsOf(decoder, [{ tokens: prompt.slice(past, past + cut), past, blocks }],
        Math.max(bound, cut)) as [Float32Array<ArrayBuffer>]
      past += cut
    }
    return row
  }
  const compare = (a: Float32Array, b: Float32Array, what: string): void => {
    if (!a.every(Number.isFinite)) problems.push(`a run gives numbers that are not finite (${what})`)
    else if (!sameBits(a, b)) notes.push(`the bits of a row depend on ${what}`)
  }
  const half = Math.floor(longest / 2)
  if (half >= 32) {
    compare(await inPieces([longest], 32), await inPieces([half, longest - half], 32), 'how a long prompt is cut')
  }
  const few = Math.min(24, longest)
  compare(await inPieces([few], 31), await inPieces([few - 9, 9], 31), 'how a short prompt is cut')
  const next: Part = { tokens: draw(1), past: few, blocks }
  const others = Array.from({ length: 7 }, (): Part => ({ tokens: draw(1), past: 0, blocks: [0] }))
  const [alone] = await outputsOf(decoder, [next], 1)
  const [among] = await outputsOf(decoder, [next, ...others], 1)
  compare(alone!, among!, 'the other rows of a run')
  return { problems, notes }
}
