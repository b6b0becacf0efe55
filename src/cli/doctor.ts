/** `fairlead doctor` */
import { availableParallelism, cpus } from 'node:os'
import Table from 'cli-table3'
import { loadConfig } from '../config.js'
import { settings } from '../settings.js'
import { RequestError } from '../errors.js'
import { kernelSignature } from '../models/self-test/kernel-signature.js'
import { surveyOperators, type Survey } from '../models/self-test/survey.js'
import type { WeightFormat } from '../models/quantization/weight-format.js'
import { packageVersion } from '../package-root.js'
import { describeInstructionSet } from '../runtime/instruction-set.js'
import { loadOnnxRuntime } from '../runtime/onnx-library.js'
import type { Command } from './command.js'
import { settingFlags, settingOptions, type Options } from './options.js'

const options: Options = { json: { type: 'boolean', help: 'print JSON' }, ...settingOptions(['threads']) }

/** Those of the default model. */
const heads = { queryHeads: 9, kvHeads: 3, headSize: 64, ropeInterleaved: false }

interface Machine {
  readonly version: string
  readonly node: string
  readonly platform: string
  readonly onnxruntime: string
  readonly processor: string
  readonly instructionSet: string
  readonly kernels: string
  readonly cores: number
  readonly threads: number
}

async function describeMachine (threads: number): Promise<Machine> {
  return {
    version: packageVersion,
    node: process.version,
    platform: `${process.platform} ${process.arch}`,
    onnxruntime: loadOnnxRuntime().version,
    processor: cpus()[0]?.model ?? 'unknown',
    instructionSet: describeInstructionSet(),
    kernels: await kernelSignature(),
    cores: availableParallelism(),
    threads
  }
}

function print (machine: Machine, { operators, formats }: Survey): void {
  const { version, node, platform, onnxruntime, processor, instructionSet, kernels, cores, threads } = machine
  console.log(`Fairlead ${version}, ONNX Runtime ${onnxruntime}, Node ${node}, ${platform}`)
  console.log(`${processor}, ${cores} cores, ${instructionSet}; kernels ${kernels}\n`)
  const table = new Table({
    head: [`with ${threads} threads`, 'numbers', 'relative error', 'rows', 'ms'],
    style: { head: [], border: [], compact: true }
  })
  for (const { operator, error, tolerance, rowsAlike, ms } of operators) {
    const [numbers, rows] = [error <= tolerance ? 'right' : 'WRONG', rowsAlike ? 'alike' : 'DIFFER']
    table.push([operator, numbers, error.toExponential(1), rows, ms.toFixed(0)])
  }
  console.log(table.toString())
  const used = Object.entries(formats).map(([format, names]) =>
    `  ${format.padEnd(6)} ${names?.join(', ') ?? 'unavailable: no form passes'}`)
  console.log(`\nOperators used by each weight format\n${used.join('\n')}`)
}

export const doctor: Command = {
  name: 'doctor',
  usage: '[OPTIONS]',
  summary: 'self-test this processor: numerical accuracy and bit-exactness of every operator, and which ones each ' +
    'weight format uses',
  options,
  maxPositionals: 0,
  async run (values) {
    const { threads } = loadConfig(settingFlags(values))
    const [machine, survey] = [await describeMachine(threads), await surveyOperators(threads, heads)]
    if (values['json'] === true) console.log(JSON.stringify({ ...machine, ...survey }, null, 2))
    else print(machine, survey)
    const format = settings.format.default as WeightFormat
    if (survey.formats[format] === null) {
      throw new RequestError('internal_error', `the default format ${format} is not usable on this processor`)
    }
    if (!survey.attentionPassed) {
      throw new RequestError('internal_error', `attention fails with ${threads} threads; models run with fewer threads`)
    }
  },
  notes: () => 'Models load with the first form of each operator that passes this test; see Weight formats in ' +
    'docs/engine.md. The exit code is 1 if the default format or attention fails.'
}
