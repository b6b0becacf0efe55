/** What came of a walk through Teach, as Markdown: every sentence of the page as it stood there. Pure. */
import type { CheckVote } from '../src/inspector/logic/ratings.js'
import type { Environment } from '../src/reporting/environment.js'
import { count, type Counted } from './teach-taste.js'

/** A reward's card as the page shows it. */
export interface Card {
  readonly title: string
  readonly verdict: string
  readonly notes: readonly string[]
  /** What is measured, and the figure. */
  readonly rows: ReadonlyArray<readonly [string, string]>
}

export interface Walk {
  readonly environment: Environment
  /** From the first pair to the last vote. */
  readonly minutes: number
  /** Load average of the last minute. */
  readonly loadAtEnd: number
  /** After 20 pairs and after 40. */
  readonly cards: readonly [Card, Card]
  readonly agreement: readonly string[]
  /** Sentences of the check's result. */
  readonly result: readonly string[]
  /** Pairs that were rated "about the same". */
  readonly ties: number
  readonly votes: readonly CheckVote[]
}

const quote = (sentence: string): string => `> ${sentence.replaceAll(/\s+/g, ' ').trim()}`

function cards ([first, second]: Walk['cards']): string {
  const rows = first.rows.map(([what, figure], at) => `| ${what} | ${figure} | ${second.rows[at]![1]} |`)
  return `| held-out pairs told right | v1, ${first.title.split(' · ')[1]!} | v2, ${second.title.split(' · ')[1]!} |
| --- | --: | --: |
${rows.join('\n')}

The card of v1: ${first.notes[0]!}

${quote(first.verdict)}

The card of v2: ${second.notes[0]!}

${[second.verdict, ...second.notes.slice(1)].map(quote).join('\n>\n')}`
}

/** What the taste counts in both sides of the check: which part of it moved. */
export function counted (votes: readonly CheckVote[]): string {
  const row = (side: 'plain' | 'steered'): string => {
    const all = votes.map(vote => count(vote[side]))
    const mean = (value: (one: Counted) => number): string =>
      (all.reduce((sum, one) => sum + value(one), 0) / all.length).toFixed(1).replace('-', '−')
    return `| ${side} | ${mean(one => one.words)} | ${mean(one => one.concrete)} | ${mean(one => one.vague)} | ` +
      `${mean(one => one.points + one.words / 4)} | ${mean(one => -one.words / 4)} | ${mean(one => one.points)} |`
  }
  return `| the check's answers, means | words | concrete | vague | points for words | for length | in all |
| --- | --: | --: | --: | --: | --: | --: |
${row('plain')}
${row('steered')}`
}

export function walkBlock (walk: Walk, rule: string): string {
  const { environment: { cpu, cores, loadAverage, date, commit }, minutes, loadAtEnd, ties } = walk
  return `\`\`\`
${rule}
\`\`\`

## The card

${cards(walk.cards)}

## Agreement

${walk.agreement.map(quote).join('\n>\n')}

${ties} more pairs were “about the same” and are not among the 40.

![The card after 40 pairs, and the agreement of what was predicted before each vote](pictures/teach-card.png)

## The blind check

${walk.result.map(quote).join('\n>\n')}

${counted(walk.votes)}

![The check's result](pictures/teach-check.png)

Walked ${date.slice(0, 10)} on ${cores} × ${cpu}${commit === null ? '' : `, ${commit.slice(0, 12)}`}, in ${minutes.toFixed(0)} minutes; load average ${loadAverage[0]!.toFixed(1)} when it began and ${loadAtEnd.toFixed(1)} when it ended, from other work beside it.`
}
