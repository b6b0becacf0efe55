/**
 * Decode runs whose commands the device has recorded: a run of one token a sequence is replayed as it was when a run of
 * as many sequences was first made, with other numbers in the same buffers. What it saves is the time to submit some
 * hundred kernels one by one. Runs are filled up to a few sizes, each a recording of its own. What is read, and what
 * bounds attention, must be in buffers that stay: all inputs are, and the longest sequence is the context's.
 */
import type { Device, DeviceTensor } from '../../runtime/device.js'
import { RunOptions, type Session } from '../../runtime/session.js'
import { Tensor, type Value } from '../../runtime/tensor.js'
import type { PackedPass } from './device-decoder.js'
import { passTensors, type PassLimits } from './packed-pass.js'

/** Sequences of a recording. */
const sizes = [4, 8, 16, 32, 64] as const

/** Whether a run can be a recorded one: one token of each sequence, and no logits beside those that are sorted. */
export function canReplay (pass: PackedPass): boolean {
  const { tokenIds, pastLengths, longestPart, rows, logitRows, stateRows } = pass
  const largest = Math.max(tokenIds.length, rows.length, stateRows.length)
  return longestPart === 1 && tokenIds.length === pastLengths.length && rows.length > 0 && logitRows.length === 0 &&
    largest <= sizes.at(-1)!
}

/** So many rows of some width: those there are, then the first again and again. */
const filled = (values: Int32Array, count: number, width = 1): Int32Array =>
  Int32Array.from({ length: count * width }, (_, at) => values[at] ?? values[at % width]!)

/** A pass of so many sequences, rows and states: the first of each again and again, which writes what it writes. */
export function filledUp (
  pass: PackedPass, count: number, { maxBlocksPerSequence, blockSize }: PassLimits
): PackedPass {
  return {
    ...pass,
    tokenIds: filled(pass.tokenIds, count),
    cumulativeLengths: Int32Array.from({ length: count + 1 }, (_, at) => at),
    pastLengths: filled(pass.pastLengths, count),
    blockTables: filled(pass.blockTables, count, maxBlocksPerSequence),
    longestSequence: maxBlocksPerSequence * blockSize,
    rows: filled(pass.rows, count),
    inverseTemperatures: Float32Array.from({ length: count }, (_, row) => pass.inverseTemperatures[row] ?? 1),
    stateRows: pass.stateLayers.length > 0 ? filled(pass.stateRows, count) : pass.stateRows
  }
}

/** Buffers of one size, and what tells ONNX Runtime which recording to replay. */
interface Recording {
  readonly inputs: ReadonlyMap<string, DeviceTensor>
  readonly outputs: ReadonlyMap<string, DeviceTensor>
  readonly options: RunOptions
}

/** Recorded runs of one graph. */
export class CapturedRuns {
  readonly #device: Device
  readonly #session: Session
  readonly #cache: ReadonlyMap<string, DeviceTensor>
  readonly #limits: PassLimits
  readonly #recordings = new Map<number, Recording>()
  /** One run at a time: it writes buffers, replays and reads buffers. */
  #last: Promise<unknown> = Promise.resolve()

  /** @param session of a graph with outputs `sampling` and hidden states, compiled with `captureOptions` */
  constructor (
    device: Device, session: Session, cache: ReadonlyMap<string, DeviceTensor>, limits: PassLimits
  ) {
    this.#device = device
    this.#session = session
    this.#cache = cache
    this.#limits = limits
  }

  /**
   * Runs a pass that `canReplay`.
   * @param outputs of the host by name, [rows, columns]: they are written
   * @returns bytes that were sent to the device
   */
  run (pass: PackedPass, outputs: ReadonlyMap<string, Tensor>): Promise<number> {
    const turn = this.#last.then(() => this.#run(pass, outputs))
    this.#last = turn.catch(() => {})
    return turn
  }

  async #run (pass: PackedPass, outputs: ReadonlyMap<string, Tensor>): Promise<number> {
    const least = Math.max(pass.tokenIds.length, pass.rows.length, pass.stateRows.length)
    const size = sizes.find(one => one >= least)!
    const given = passTensors(filledUp(pass, size, this.#limits), this.#limits)
    const recording = await this.#recording(size, given, outputs)
    const names = [...recording.inputs.keys()]
    const whole = new Map([...outputs].map(([name, { dims }]) => [name, Tensor.allocate('float32', [size, dims[1]!])]))
    try {
      await this.#device.copy(names.map(name => given.get(name)!), names.map(name => recording.inputs.get(name)!))
      const metadata = given.get('attention_metadata')!
      const feeds = new Map<string, Value>([...recording.inputs, ['attention_metadata', metadata], ...this.#cache])
      await this.#device.run(this.#session, feeds, recording.outputs, recording.options)
      await this.#device.copy([...outputs.keys()].map(name => recording.outputs.get(name)!), [...whole.values()])
      for (const [name, { data }] of outputs) {
        (data as Float32Array).set((whole.get(name)!.data as Float32Array).subarray(0, data.length))
      }
      return [...given.values()].reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
    } finally {
      for (const tensor of [...given.values(), ...whole.values()]) tensor.dispose()
    }
  }

  async #recording (
    size: number, given: ReadonlyMap<string, Tensor>, wanted: ReadonlyMap<string, Tensor>
  ): Promise<Recording> {
    const known = this.#recordings.get(size)
    if (known) return known
    const [inputs, outputs] = [new Map<string, DeviceTensor>(), new Map<string, DeviceTensor>()]
    for (const [name, { type, dims }] of given) {
      // Bounds of attention are the host's.
      if (name !== 'attention_metadata') inputs.set(name, await this.#device.allocate(type, dims))
    }
    for (const [name, { type, dims }] of wanted) {
      outputs.set(name, await this.#device.allocate(type, [size, dims[1]!]))
    }
    const recording = { inputs, outputs, options: new RunOptions({ gpu_graph_id: String(size) }) }
    this.#recordings.set(size, recording)
    return recording
  }

  /** After the run under way. */
  async dispose (): Promise<void> {
    await this.#last
    await this.#device.dispose([this.#session])
    for (const { inputs, outputs, options } of this.#recordings.values()) {
      options.dispose()
      await this.#device.free([...inputs.values(), ...outputs.values()])
    }
  }
}

/** Of the provider, for sessions whose runs are recorded. */
export const captureOptions = { enableGraphCapture: '1' }
