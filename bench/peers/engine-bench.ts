/** Engines that read prompts and draw candidates: Fairlead's engine and sampler beside others, without HTTP. */
import { namesOption, type Options } from '../../src/cli/options.js'
import type { Program } from '../../tools/program.js'
import { commonOptions, Contest } from './contest.js'
import type { EngineProcess } from './engine-process.js'
import { engines, type Engine } from './engines.js'
import { checkMeasured } from './protocol.js'
import type { Times } from './rates.js'
import { resultsOf, tableOf, type Contestant, type ScenarioTimes } from './report.js'
import { scenariosOf, taskOf } from './scenarios.js'

const engineNames = engines.map(({ name }) => name)
const scenarioNames = scenariosOf(2).map(({ name }) => name)

const options: Options = {
  engines: { type: 'string', help: 'engines to compare, comma-separated', default: engineNames.join() },
  scenarios: { type: 'string', help: 'comma-separated scenarios', default: scenarioNames.join() },
  'new-tokens': { type: 'string', help: 'tokens of each candidate', default: '128' },
  ...commonOptions
}

interface Running extends Contestant { readonly name: string, readonly process: EngineProcess }
type Found = ScenarioTimes & { readonly times: Map<string, Times[]>, readonly failures: Map<string, string> }

const figuresOf = (running: readonly Running[], notLoaded: ReadonlyMap<string, string>, found: readonly Found[]) => ({
  engines: running.map(({ engine: { name, family, weights }, about }) => ({ name, family, weights, ...about })),
  notLoaded: Object.fromEntries(notLoaded),
  scenarios: found.map(one => ({ ...one.scenario, results: resultsOf(one, running) }))
})

function print (running: readonly Running[], notLoaded: ReadonlyMap<string, string>, found: readonly Found[]): void {
  if (found.length > 0) console.log(tableOf(found, running))
  for (const { name, about } of running) console.log(`${name}: ${about.version}, ${about.configuration}`)
  for (const [at, failures] of [['loading', notLoaded],
    ...found.map(({ scenario, failures }) => [scenario.name, failures] as const)] as const) {
    for (const [name, message] of failures) console.log(`${name} failed at ${at}: ${message}`)
  }
}

export const engineBench: Program = {
  command: 'npm run bench:peers --',
  summary: 'Fairlead beside other engines, in turns',
  options,
  async run (args) {
    const byName = <T extends { readonly name: string }> (option: string, all: readonly T[]): T[] => {
      const names = namesOption(args.values, option, all.map(({ name }) => name))
      return all.filter(({ name }) => names.includes(name))
    }
    const wanted: Engine[] = byName('engines', engines)
    const scenarios = byName('scenarios', scenariosOf(args.integer('new-tokens', 2)))
    const contest = await Contest.prepare(args, wanted)
    const [running, found, notLoaded] = [[] as Running[], [] as Found[], new Map<string, string>()]
    await contest.hold(async write => {
      write()
      for (const engine of wanted) {
        const started = await contest.engine(notLoaded, engine)
        if (started) running.push({ name: engine.name, engine, about: started.about, process: started.engine })
      }
      for (const scenario of scenarios) {
        const one: Found = { scenario, times: new Map(), failures: new Map() }
        found.push(one)
        await contest.turns(scenario.name, running, one.times, one.failures, async ({ process }, turn) => {
          const task = taskOf(scenario, contest.vocabulary.encodeChat, found.length * 1000 + turn)
          const measured = await process.measure(task)
          checkMeasured(task, measured, contest.vocabulary.size)
          return { firstMs: measured.firstMs, totalMs: measured.totalMs }
        }, write)
      }
    }, () => figuresOf(running, notLoaded, found))
    print(running, notLoaded, found)
  }
}
