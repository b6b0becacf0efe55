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
  const { status, stderr } = spawnSync(process.execPath, [at('dist/fairlead/fairlead.js'), ...args],
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

/** One answer: what it took over some turns, s, and how positive it is, standard deviations from the model's mean. */
interface Answered { readonly name: string, readonly text: string, readonly reward: number, readonly seconds: number }

/** What is shown beside a plain answer: the weight of `positive`. */
const steered = [1, -1] as const

/** The plain answer is the first candidate of the same seed, whose reward the first search tells. */
async function answers (): Promise<readonly Answered[]> {
  const dataDir = mkdtempSync(join(tmpdir(), 'fairlead-readme-'))
  const server = await Fairlead.start({ dataDir })
  const request = { messages: [{ role: 'user' as const, content: prompt }], max_tokens: maxTokens, temperature, seed }
  /** @returns the answer, its reward, and the first candidate's */
  const ask = async (weight: number | null): Promise<{ text: string, reward: number, first: number }> => {
    if (weight === null) {
      return { text: (await server.generate(request)).choices[0]!.message.content!, reward: 0, first: 0 }
    }
    const { choices, alignment } = await server.generate({
      ...request,
      alignment: {
        strategy: 'best_of_n', num_candidates: 16, rewards: [{ name: 'positive', weight }], return_candidates: true
      }
    })
    const { message, alignment: chosen } = choices[0]!
    const first = alignment!.candidates!.find(({ index }) => index === 0)!
    return { text: message.content!, reward: chosen!.reward! / weight, first: first.reward! / weight }
  }
  try {
    const ways = [null, ...steered]
    const [seconds, shown] = [ways.map(() => [] as number[]), ways.map(() => ({ text: '', reward: 0, first: 0 }))]
    // The first turn warms up.
    for (let turn = -1; turn < turns; turn++) {
      for (const [at, weight] of ways.entries()) {
        const started = performance.now()
        shown[at] = await ask(weight)
        if (turn >= 0) seconds[at]!.push((performance.now() - started) / 1000)
      }
    }
    return ways.map((weight, at) => ({
      name: weight === null ? 'plain' : `best of 16 by \`positive\`, weight ${weight < 0 ? '−1' : '1'}`,
      text: shown[at]!.text,
      reward: weight === null ? shown[1]!.first : shown[at]!.reward,
      seconds: spreadOf(seconds[at]!).median
    }))
  } finally {
    await server.close()
    rmSync(dataDir, { recursive: true })
  }
}

const signed = (value: number): string => `${value < 0 ? '−' : '+'}${Math.abs(value).toFixed(2)}`

function showAnswers (answered: readonly Answered[], { cpu, cores, date }: Environment): string {
  const row = ({ name, text, reward, seconds }: Answered): string => {
    const shown = text.trim().replaceAll(/\s+/g, ' ').replaceAll('|', '\\|')
    return `| ${name} | “${shown}…” | ${signed(reward)} | ${seconds.toFixed(2)} s |`
  }
  return `| seed ${seed}, temperature ${temperature}, ${maxTokens} tokens | “${prompt}” | \`positive\` | time |
| --- | --- | --: | --: |
${answered.map(row).join('\n')}

\`positive\`: how approving, in standard deviations from the model's mean, by the reward that picked the answers: no
independent evidence. Made by \`npm run readme\`, ${date.slice(0, 10)}; time: median of ${turns} turns on
${cores} × ${cpu}.`
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
