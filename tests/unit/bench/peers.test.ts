import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import { EngineProcess, type Command } from '../../../bench/peers/engine-process.js'
import { engines } from '../../../bench/peers/engines.js'
import { checkMeasured, type Measured, type Task } from '../../../bench/peers/protocol.js'
import { fastest, resultsOf, tableOf, type Contestant } from '../../../bench/peers/report.js'
import { messageOf, scenariosOf, taskOf, type Scenario } from '../../../bench/peers/scenarios.js'
import { ratesOf } from '../../../bench/peers/rates.js'
import { inTurns } from '../../../bench/harness/turns.js'

const task: Task = { warmUpPrompt: [4], warmUpTokens: 1, prompt: [5, 6, 7], candidates: 2, newTokens: 2 }
const measured: Measured = { firstMs: 10, totalMs: 30, promptTokens: 3, drawn: [[1, 2], [1, 3]] }

test('the request rate counts all tokens and all time, the decode rate those after the first, the prefill rate ' +
  'the prompt', () => {
  const rates = ratesOf({ name: 's', candidates: 4, promptTokens: 100, newTokens: 11 }, { firstMs: 500, totalMs: 2500 })
  assert.deepEqual(rates, { request: 44 / 2.5, decode: 40 / 2, prefill: 200 })
  assert.equal(
    ratesOf({ name: 's', candidates: 1, promptTokens: 100, newTokens: 1 }, { firstMs: 500, totalMs: 500 }).decode, null
  )
})

test('an answer that is not what was asked for is refused', () => {
  checkMeasured(task, measured, 10)
  const refused: ReadonlyArray<readonly [Partial<Measured>, RegExp]> = [
    [{ promptTokens: 2 }, /read 2 prompt tokens; 3/],
    [{ drawn: [[1, 2]] }, /made 1 candidates; 2/],
    [{ drawn: [[1, 2], [1]] }, /candidate 1 has 1 tokens; 2/],
    [{ drawn: [[1, 2], [1, 10]] }, /token 10; tokens are from 0 to 9/],
    [{ totalMs: 5 }, /its times are 10 ms to the first token and 5 ms/]
  ]
  for (const [change, message] of refused) {
    assert.throws(() => { checkMeasured(task, { ...measured, ...change }, 10) }, message)
  }
  const long = Array.from({ length: 16 }, () => 1)
  assert.throws(() => { checkMeasured({ ...task, newTokens: 16 }, { ...measured, drawn: [long, long] }, 10) },
    /all its candidates are the same/)
})

test('every task has a prompt of the length asked for, another one each time', () => {
  const [scenario] = scenariosOf(128) as [Scenario]
  const bytes = (text: string): number[] => [...Buffer.from(text)]
  const [one, two] = [taskOf(scenario, bytes, 1000), taskOf(scenario, bytes, 1001)]
  for (const { prompt, warmUpPrompt } of [one, two]) {
    assert.equal(prompt.length, scenario.promptTokens)
    assert.equal(warmUpPrompt.length, scenario.promptTokens)
    assert.ok(!isDeepStrictEqual(prompt, warmUpPrompt), 'warming up reads another prompt')
  }
  assert.notEqual(one.prompt.slice(0, 8).join(), two.prompt.slice(0, 8).join())
  assert.equal(one.newTokens, 128)
})

test('messages have just the length asked for, and begin differently', () => {
  const bytes = (text: string): number[] => [...Buffer.from(text)]
  const [one, two] = [messageOf(bytes, 400, 1), messageOf(bytes, 400, 15)]
  for (let index = 0; index < 20; index++) assert.equal(bytes(messageOf(bytes, 400, index)).length, 400)
  assert.notEqual(one.split(':')[0], two.split(':')[0])
  assert.equal(one, messageOf(bytes, 400, 1))
  const template = (text: string): number[] => bytes(`Be as helpful as you can. ${text}`)
  assert.throws(() => messageOf(template, 20, 1),
    /a prompt has at least 29 tokens with this model's chat template; got 20/)
})

const none: ReadonlyMap<string, string> = new Map()
const contestants: Contestant[] = ['fairlead', 'llama.cpp', 'llama.cpp-q4_0']
  .map(name => ({ engine: engines.find(engine => engine.name === name)!, about: { version: '1', configuration: '' } }))
const scenario: Scenario = { name: 'n2-p10', candidates: 2, promptTokens: 10, newTokens: 5 }
const turns = (...seconds: number[]): Array<{ firstMs: number, totalMs: number }> =>
  seconds.map(one => ({ firstMs: 200 * one, totalMs: 1000 * one }))
const times = new Map([['fairlead', turns(1, 2, 1)], ['llama.cpp', turns(4, 8, 4)], ['llama.cpp-q4_0', turns(2, 6, 2)]])

test('results give each peer its ratio to Fairlead, and mark the fastest of each family', () => {
  const results = resultsOf({ scenario, times, failures: none }, contestants)
  assert.deepEqual(results.map(result => result.rates.request?.median), [10, 2.5, 5])
  assert.deepEqual(results.map(result => result.ratios.request?.median ?? null), [null, 4, 2])
  assert.equal(results[2]!.ratios.request!.most, 3)
  assert.deepEqual([...fastest(scenario, results)].sort(), ['fairlead', 'llama.cpp-q4_0'])
  const row = tableOf([{ scenario, times, failures: none }], contestants).split('\n').find(line =>
    line.includes('llama.cpp-q4_0 *'))!
  assert.match(row, /5 \(2–5\).*2\.00 \(2\.00–3\.00\)/)
})

test('a run that was cut short has ratios of the turns that both had, and none without any', () => {
  const cut = new Map([['fairlead', turns(1, 2)], ['llama.cpp', turns(4)]])
  const results = resultsOf({ scenario, times: cut, failures: new Map([['llama.cpp', 'no memory']]) }, contestants)
  assert.deepEqual(results.map(result => result.ratios.request?.median ?? null), [null, 4, null])
  assert.equal(results[2]!.rates.request, null)
  assert.deepEqual(results.map(({ failure }) => failure), [null, 'no memory', null])
  assert.match(tableOf([{ scenario, times: cut, failures: new Map([['llama.cpp', 'no memory']]) }], contestants),
    /llama\.cpp \* failed/)
})

test('who fails has no more turns, the others have all of theirs', async () => {
  const taken: string[] = []
  const failures: string[] = []
  const rounds: number[] = []
  const gave = new Map<string, number[]>()
  await inTurns([{ name: 'a' }, { name: 'b' }, { name: 'c' }], 3, gave, {
    async take ({ name }, turn) {
      if (name === 'b' && turn === 1) throw new Error('no memory')
      taken.push(name + String(turn))
      return turn
    },
    failed: ({ name }, error) => { failures.push(`${name}: ${(error as Error).message}`) },
    ended: done => { rounds.push(done) }
  })
  assert.deepEqual([...gave], [['a', [0, 1, 2]], ['b', [0]], ['c', [0, 1, 2]]])
  assert.deepEqual(taken, ['a0', 'b0', 'c0', 'a1', 'c1', 'a2', 'c2'])
  assert.deepEqual(failures, ['b: no memory'])
  assert.deepEqual(rounds, [1, 2, 3])
  const ended = inTurns([{ name: 'a' }], 2, new Map(),
    { take: () => Promise.reject(new Error('cut short')), failed: (_, error) => { throw error }, ended: () => {} })
  await assert.rejects(ended, /cut short/)
})

/** An engine that says it is there and answers with what `answer`, an expression of the task, gives. */
const scripted = (answer: string): Command => [process.execPath, '-e', `
  const say = value => require('fs').writeSync(3, JSON.stringify(value) + '\\n')
  console.log('noise on standard output')
  say({ version: '1', configuration: 'scripted' })
  require('readline').createInterface(process.stdin).on('line', line => { const task = JSON.parse(line); say(${answer}) })`]

/** The state of a process, as ps has it: T is stopped. */
const stateOf = (pid: number): string =>
  execFileSync('ps', ['-o', 'stat=', '-p', String(pid)], { encoding: 'utf8' }).trim()
const posix = process.platform === 'win32' ? 'processes cannot be stopped on Windows' : false

test('an engine is stopped before, between and after its turns', { skip: posix }, async () => {
  const { engine, about } =
    await EngineProcess.start(scripted('{ firstMs: 1, totalMs: 2, promptTokens: task.prompt.length, drawn: [] }'))
  try {
    assert.deepEqual(about, { version: '1', configuration: 'scripted' })
    for (let turn = 0; turn < 2; turn++) {
      assert.match(stateOf(engine.pid!), /^T/)
      assert.equal((await engine.measure(task)).promptTokens, 3)
    }
    assert.match(stateOf(engine.pid!), /^T/)
  } finally {
    engine.kill()
  }
})

test('what an engine says went wrong, or said before it ended, is told', { skip: posix }, async () => {
  const { engine } = await EngineProcess.start(scripted("{ error: 'no memory' }"))
  await assert.rejects(engine.measure(task), /^Error: no memory$/)
  engine.kill()
  const { engine: ends } = await EngineProcess.start(scripted("(console.error('broken'), process.exit(3))"))
  // Told again where it is asked again.
  for (let asked = 0; asked < 2; asked++) await assert.rejects(ends.measure(task), /it ended with code 3: [^]*broken/)
  await assert.rejects(EngineProcess.start([process.execPath, '-e', "console.error('no such model'); process.exit(1)"]),
    /it ended with code 1: no such model/)
  await assert.rejects(EngineProcess.start(['/nonexistent/engine']), /ENOENT/)
})
