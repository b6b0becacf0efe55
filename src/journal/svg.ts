/**
 * A run as an animated picture, for a README or a slide: a bar a candidate over its tokens, coloured by reward from
 * score to score, forks at the token where they happened. Between two scores a bar grows evenly; all else is at its
 * recorded time, scaled to some seconds. Motion is CSS, so that readers who want none see the end. Pure text.
 */
import type { Entry } from './entries.js'
import { fold, type Lineage, type Run } from './fold.js'

const [left, right, top, row, width] = [34, 118, 62, 16, 720]
/** Longest animation, seconds, and candidates shown. */
const [longest, mostRows] = [8, 64]

/** Text in XML; what XML cannot hold is left out. */
const escaped = (text: string): string => text
  // eslint-disable-next-line no-control-regex
  .replaceAll(/[\u0000-\u001F\u007F-\u009F\u202A-\u202E\u2066-\u2069\uFFFE\uFFFF]/g, ' ').replaceAll(/\p{Surrogate}/gu, '\uFFFD')
  .replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')

const cut = (text: string, length: number): string => text.length > length ? `${text.slice(0, length - 1)}…` : text

/** Lines of at most so many characters, broken at spaces; no more than `most`, the last one cut. */
function wrapped (text: string, length: number, most: number): string[] {
  const lines = ['']
  for (const word of text.replaceAll(/\s+/g, ' ').split(' ')) {
    const last = lines.at(-1)!
    if (last !== '' && last.length + word.length >= length) lines.push(word)
    else lines[lines.length - 1] = last === '' ? word : `${last} ${word}`
  }
  return lines.length > most ? [...lines.slice(0, most - 1), cut(lines.slice(most - 1).join(' '), length)] : lines
}

/** One of seven tints, −3 to 3, of a reward in standard deviations. */
const tint = (reward: number): number => Math.max(-3, Math.min(3, Math.round(reward * 1.5)))

const signed = (reward: number): string => `${reward < 0 ? '−' : '+'}${Math.abs(reward).toFixed(2)}`

/** Candidates from the top: children below their parents; too many are left out, those last that led to an answer. */
function rowsOf ({ candidates, select }: Run): { rows: Lineage[], left: number } {
  const all = [...candidates.values()].sort((a, b) => a.index - b.index)
  const kept = new Set<number>()
  for (const chosen of select?.chosen ?? []) {
    for (let one = candidates.get(chosen); one; one = one.parent === null ? undefined : candidates.get(one.parent)) {
      kept.add(one.index)
    }
  }
  for (const { index, parent } of all) {
    if (kept.size < mostRows && (parent === null || kept.has(parent))) kept.add(index)
  }
  const below = (parent: number | null): Lineage[] => all.filter(one => one.parent === parent && kept.has(one.index))
    .flatMap(one => [one, ...below(one.index)])
  const rows = below(null)
  return { rows, left: all.length - rows.length }
}

/** When each candidate was scored, dropped and finished, and the answer chosen, milliseconds. */
interface Times {
  readonly scores: Map<number, number[]>
  readonly ends: Map<number, number>
  readonly drops: Map<number, number>
  select: number
  last: number
}

function timesOf (entries: readonly Entry[]): Times {
  const times: Times = { scores: new Map(), ends: new Map(), drops: new Map(), select: 0, last: 0 }
  for (const entry of entries) {
    if ('journal' in entry) continue
    times.last = entry.t
    if ('score' in entry) {
      for (const [index] of entry.score) times.scores.set(index, [...times.scores.get(index) ?? [], entry.t])
    } else if ('token' in entry && typeof entry.token[8] === 'number') {
      times.scores.set(entry.token[0], [...times.scores.get(entry.token[0]) ?? [], entry.t])
    } else if ('end' in entry) {
      for (const [index, reason] of entry.end) (reason === 'dropped' ? times.drops : times.ends).set(index, entry.t)
    } else if ('select' in entry) times.select = entry.t
  }
  return times
}

const style = `
text{font:12px system-ui,sans-serif;fill:#1a1a1a}.s{font-size:11px;fill:#666}.n{font-variant-numeric:tabular-nums}
.g{fill:#c8c8c8}.f{fill:none;stroke:#999}.c{stroke:#1a1a1a;stroke-width:2;fill:none}
.m3{fill:#2166ac}.m2{fill:#5e97c8}.m1{fill:#a6c8e0}.z{fill:#b0b0b0}.p1{fill:#f0c08a}.p2{fill:#dd8a3c}.p3{fill:#b35806}
@media (prefers-color-scheme:dark){text{fill:#eee}.s{fill:#aaa}.g{fill:#555}.f{stroke:#777}.c{stroke:#fff}}
.a{animation:a .25s both}.w{animation:w linear both;transform-box:fill-box;transform-origin:left}
@keyframes a{from{opacity:0}}@keyframes w{from{transform:scaleX(0)}}
@media (prefers-reduced-motion:reduce){*{animation:none!important}}`

const tints = ['m3', 'm2', 'm1', 'z', 'p1', 'p2', 'p3']

class Picture {
  readonly #run: Run
  readonly #times: Times
  readonly #rows: readonly Lineage[]
  readonly #places: ReadonlyMap<number, number>
  readonly #seconds: (milliseconds: number) => string
  readonly #x: (tokens: number) => number

  constructor (run: Run, times: Times, rows: readonly Lineage[]) {
    this.#run = run
    this.#times = times
    this.#rows = rows
    this.#places = new Map(rows.map(({ index }, place) => [index, place]))
    const scale = times.last > 0 ? Math.min(1, longest * 1000 / times.last) / 1000 : 0
    this.#seconds = milliseconds => (milliseconds * scale).toFixed(2)
    const most = Math.max(1, ...rows.map(({ tokens }) => tokens))
    this.#x = tokens => Number((left + tokens / most * (width - left - right)).toFixed(1))
  }

  #y (index: number): number { return top + this.#places.get(index)! * row }

  #delay (milliseconds: number): string { return `animation-delay:${this.#seconds(milliseconds)}s` }

  /** The bar from score to score, and what was drawn after the last. */
  #bar ({ index, at, tokens, opened, scores }: Lineage): string {
    const marks = scores.map(([after, reward], place) =>
      ({ after, reward: reward as number | null, t: this.#times.scores.get(index)?.[place] ?? this.#times.last }))
    const ended = this.#times.ends.get(index) ?? this.#times.drops.get(index) ?? this.#times.last
    let [from, since] = [at, opened]
    return [...marks, { after: tokens, reward: null, t: ended }].map(({ after, reward, t }) => {
      if (after <= from) return ''
      const box = `x="${this.#x(from)}" y="${this.#y(index) + 3}" width="${(this.#x(after) - this.#x(from)).toFixed(1)}" ` +
        'height="9"'
      const grown = `<rect class="g w" ${box} style="${this.#delay(since)};` +
        `animation-duration:${this.#seconds(Math.max(1, t - since))}s"/>`
      const scored = reward === null ? '' : `<rect class="a ${tints[tint(reward) + 3]}" ${box} style="${this.#delay(t)}"/>`
      from = after
      since = t
      return grown + scored
    }).join('')
  }

  #fork ({ index, parent, at, opened }: Lineage): string {
    if (parent === null || !this.#places.has(parent)) return ''
    const x = this.#x(at)
    return `<path class="f a" d="M${x} ${this.#y(parent) + 12}V${this.#y(index) + 7}" style="${this.#delay(opened)}"/>`
  }

  /** What became of it, at its end. */
  #fate ({ index, tokens, reward, droppedAt, ended }: Lineage): string {
    const isChosen = this.#run.select?.chosen.includes(index) === true
    const [x, y] = [this.#x(tokens) + 5, this.#y(index) + 11]
    const figure = reward === null ? '' : ` ${signed(reward)}`
    const [glyph, t] = isChosen
      ? ['★', this.#times.select]
      : droppedAt === null
        ? [ended ? '●' : '', this.#times.ends.get(index) ?? 0]
        : ['✕', this.#times.drops.get(index) ?? 0]
    return `<text class="n a${isChosen ? '' : ' s'}" x="${x}" y="${y}" style="${this.#delay(t)}">${glyph}${figure}</text>`
  }

  lanes (): string {
    return this.#rows.map(one => `<text class="s n" x="4" y="${this.#y(one.index) + 11}">${one.index}</text>` +
      this.#fork(one) + this.#bar(one) + this.#fate(one)).join('\n')
  }

  /** The answer, once it is chosen. */
  answer (y: number): string {
    const [choice] = this.#run.choices
    const text = choice && choice.index !== null ? this.#run.candidates.get(choice.index)?.text ?? '' : ''
    return wrapped(text, 104, 4).map((line, place) =>
      `<text class="a" x="4" y="${y + place * 17}" style="${this.#delay(this.#times.select)}">${escaped(line)}</text>`)
      .join('')
  }
}

/** The last message of the request, if it was kept. */
function promptOf ({ head }: Run): string {
  const { messages, prompt, input } = head?.request ?? {}
  const last: unknown = Array.isArray(messages)
    ? (messages.at(-1) as { content?: unknown } | undefined)?.content
    : prompt ?? input
  return typeof last === 'string' ? last.replaceAll(/\s+/g, ' ') : ''
}

/** The run as an SVG of 720 pixels' width. */
export function runSvg (entries: readonly Entry[]): string {
  const run = fold(entries)
  const { rows, left: hidden } = rowsOf(run)
  const picture = new Picture(run, timesOf(entries), rows)
  const { start, head, done } = run
  const end = top + rows.length * row
  const rewards = (start?.rewards ?? [])
    .map(([name, , , weight]) => ` · ${name}${weight === 1 ? '' : ` × ${weight}`}`).join('')
  const title = `${start?.strategy ?? 'run'}${rewards} · ${head?.model ?? ''} · seed ${start?.seed ?? ''}`
  const usage = done && `${done.usage.generated_tokens} tokens drawn, ${done.usage.returned_tokens} returned · ` +
    `${(run.t / 1000).toFixed(2)} s`
  const foot = [...hidden > 0 ? [`${hidden} more candidates`] : [], ...usage ? [usage] : []].join(' · ')
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${end + 92}" role="img" ` +
    `aria-label="${escaped(title).replaceAll('"', '&quot;')}"><title>${escaped(title)}</title><style>${style}</style>
<text x="4" y="18">${escaped(cut(promptOf(run), 104))}</text>
<text class="s" x="4" y="36">${escaped(title)}</text>
<text class="s" x="${left}" y="54">tokens →</text><text class="s" x="${width - 4}" y="54" text-anchor="end">reward</text>
${picture.lanes()}
${picture.answer(end + 18)}<text class="s" x="${width - 4}" y="36" text-anchor="end">${escaped(foot)}</text>
</svg>
`
}
