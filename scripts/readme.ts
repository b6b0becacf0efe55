/**
 * Makes what the README shows again: `npm run readme`. A run's journal and its picture, the chart of best of 16 from
 * the kept figures of `npm run bench:guided`, and the answers with and without steering, with what they took.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Fairlead } from '../src/library.js'
import { packageRoot } from '../src/package-root.js'
import { environmentOf, type Environment } from '../src/reporting/environment.js'
import { drawBars } from '../src/reporting/plot.js'
import { spreadOf, type Spread } from '../src/reporting/spread.js'

const prompt = 'Write a short review of a film about a lighthouse keeper.'
const [seed, maxTokens, temperature, turns] = [1, 48, 0.6, 5]
const journal = 'docs/pictures/beam.fairlead.jsonl'
const at = (path: string): string => join(packageRoot, path)

/** Runs the command-line interface as a reader would. @throws where it fails */
function fairlead (...args: readonly string[]): void {
  const { status, stderr } = spawnSync(process.execPath, [at('dist/src/cli/main.js'), ...args],
    { cwd: packageRoot, encoding: 'utf8' })
  if (status !== 0) throw new Error(`fairlead ${args[0]!}: ${stderr}`)
}

function drawRun (): void {
  fairlead('generate', prompt, '--strategy', 'beam_search', '--num-beams', '3', '--num-children', '3',
    '--reward', 'positive:-1', '--seed', String(seed),
    '--max-tokens', String(maxTokens), '--temperature', String(temperature), '--journal', journal)
  fairlead('inspect', journal, '--svg', 'docs/pictures/beam.svg')
}

interface Guided { readonly ways: ReadonlyArray<{ name: string, ratio: Spread }> }

/** Time of best of 16 in each way, as multiples of Fairlead's in the same turns. */
const guidedChart = ({ ways }: Guided): Promise<string> => drawBars(
  'best of 16 answers: time, as a multiple of one request to Fairlead',
  ways.map(({ name, ratio: { median, least, most } }) => ({ name, value: median, low: least, high: most })))

/** One answer, and what it took over some turns, s. */
interface Answered { readonly text: string, readonly reward: number, readonly seconds: number }

/** The plain answer is the first candidate of the same seed, so that both have a reward from one run. */
async function answers (): Promise<[Answered, Answered]> {
  const dataDir = mkdtempSync(join(tmpdir(), 'fairlead-readme-'))
  const server = await Fairlead.start({ dataDir })
  try {
    const request = { messages: [{ role: 'user' as const, content: prompt }], max_tokens: maxTokens, temperature, seed }
    const alignment = {
      strategy: 'best_of_n' as const,
      num_candidates: 16,
      rewards: [{ name: 'positive', weight: -1 }],
      return_candidates: true
    }
    const timed = async <T>(work: () => Promise<T>): Promise<[T, number]> => {
      const started = performance.now()
      return [await work(), (performance.now() - started) / 1000]
    }
    const [plain, best]: [number[], number[]] = [[], []]
    let shown: [Omit<Answered, 'seconds'>, Omit<Answered, 'seconds'>] | undefined
    // The first turn warms up.
    for (let turn = -1; turn < turns; turn++) {
      const [one, plainTime] = await timed(() => server.generate(request))
      const [many, bestTime] = await timed(() => server.generate({ ...request, alignment }))
      const [chosen, first] = [many.choices[0]!, many.alignment!.candidates!.find(({ index }) => index === 0)!]
      shown = [{ text: one.choices[0]!.message.content!, reward: first.reward! },
        { text: chosen.message.content!, reward: chosen.alignment!.reward! }]
      if (turn < 0) continue
      plain.push(plainTime)
      best.push(bestTime)
    }
    return [{ ...shown![0], seconds: spreadOf(plain).median }, { ...shown![1], seconds: spreadOf(best).median }]
  } finally {
    await server.close()
    rmSync(dataDir, { recursive: true })
  }
}

const signed = (value: number): string => `${value < 0 ? '−' : '+'}${Math.abs(value).toFixed(2)}`

function showAnswers ([plain, best]: readonly [Answered, Answered], { cpu, cores }: Environment): string {
  const row = (name: string, { text, reward, seconds }: Answered): string => {
    const shown = text.trim().replaceAll(/\s+/g, ' ').replaceAll('|', '\\|')
    return `| ${name} | “${shown}…” | ${signed(reward)} | ${seconds.toFixed(2)} s |`
  }
  return `| seed ${seed}, temperature ${temperature} | “${prompt}” | reward | time |
| --- | --- | --: | --: |
${row('plain', plain)}
${row('best of 16 by `positive`, weight −1', best)}

Reward: standard deviations from the model's mean, times the weight. Made by \`npm run readme\`.
Time: median of ${turns} turns on ${cores} × ${cpu}.`
}

/** Puts a text between its markers. */
function replace (page: string, name: string, text: string): string {
  const [begin, end] = [`<!-- ${name} -->\n`, `\n<!-- /${name} -->`]
  const [from, to] = [page.indexOf(begin), page.indexOf(end)]
  if (from < 0 || to < 0) throw new Error(`README.md has no markers ${begin.trim()}`)
  return page.slice(0, from + begin.length) + text + page.slice(to)
}

drawRun()
const guided = JSON.parse(readFileSync(at('bench/results/guided.json'), 'utf8')) as Guided
writeFileSync(at('docs/pictures/best-of-16.svg'), await guidedChart(guided))
const readme = at('README.md')
const shown = showAnswers(await answers(), environmentOf('npm run readme', []))
writeFileSync(readme, replace(readFileSync(readme, 'utf8'), 'answers', shown))
