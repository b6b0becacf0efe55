/** `fairlead doctor` */
import { availableParallelism, cpus } from 'node:os'
import Table from 'cli-table3'
import { loadConfig } from '../config.js'
import { settingNames, type Config } from '../settings.js'
import { RequestError } from '../errors.js'
import { kernelSignature } from '../models/self-test/kernel-signature.js'
import { surveyOperators, type Survey } from '../models/self-test/survey.js'
import type { WeightFormat } from '../models/quantization/weight-format.js'
import { packageVersion } from '../package-root.js'
import { describeInstructionSet } from '../runtime/instruction-set.js'
import { loadOnnxRuntime } from '../runtime/onnx-library.js'
import type { Command } from './command.js'
import { checkEnvironment, type Finding } from './environment-checks.js'
import { settingFlags, settingOptions, type Options } from './options.js'

const options: Options = { json: { type: 'boolean', help: 'print JSON' }, ...settingOptions(settingNames) }

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

const signs = { ok: 'ok', warning: 'WARNING', problem: 'PROBLEM' } as const

function printFindings (findings: readonly Finding[]): void {
  const table = new Table({ head: ['checked', '', 'finding'], style: { head: [], border: [], compact: true } })
  for (const { check, status, finding, advice } of findings) {
    table.push([check, signs[status], advice === null ? finding : `${finding}\n→ ${advice}`])
  }
  console.log(`\n${table.toString()}`)
}

/** What is wrong with the processor, as the server would find out. */
function arithmeticFindings ({ formats, attentionPassed }: Survey, { format, threads }: Config): Finding[] {
  const usable = Object.entries(formats).filter(([, names]) => names !== null).map(([name]) => name)
  return [
    formats[format as WeightFormat] === null
      ? {
          check: 'weight format',
          status: 'problem',
          finding: `${format} is not usable on this processor`,
          advice: `set --format to one of ${usable.join(', ')}`
        }
      : { check: 'weight format', status: 'ok', finding: format, advice: null },
    attentionPassed
      ? { check: 'threads', status: 'ok', finding: String(threads), advice: null }
      : {
          check: 'threads',
          status: 'problem',
          finding: `attention fails with ${threads} threads`,
          advice: 'set --threads lower; models run with fewer by themselves'
        }
  ]
}

export const doctor: Command = {
  usage: '[OPTIONS]',
  options,
  maxPositionals: 0,
  async run (values) {
    const config = loadConfig(settingFlags(values))
    const [machine, survey] =
      [await describeMachine(config.threads), await surveyOperators(config.threads, heads)]
    const findings = [...arithmeticFindings(survey, config), ...await checkEnvironment(config)]
    if (values['json'] === true) console.log(JSON.stringify({ ...machine, ...survey, findings }, null, 2))
    else {
      print(machine, survey)
      printFindings(findings)
    }
    const problems = findings.filter(({ status }) => status === 'problem')
    if (problems.length > 0) {
      throw new RequestError('internal_error', problems.map(({ check, finding }) => `${check}: ${finding}`).join('; '))
    }
  },
  notes: () => 'Models load with the first form of each operator that passes this test; see Weight formats in ' +
    'docs/engine.md. The exit code is 1 if there is a problem, 0 with warnings alone.'
}
