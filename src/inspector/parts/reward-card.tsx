/** A reward's card: what it is, how often it tells the better answer, beside its controls, and what that is worth. */
import type { RewardCard } from '../logic/api-types.js'
import { count, decimal, percent } from '../logic/formats.js'
import { figuresOf, verdictOf } from '../logic/verdict.js'

interface PrefixMetric { readonly fraction: number, readonly accuracy: number, readonly standard_error?: number }

interface Metrics {
  readonly measure?: string
  readonly split?: string
  readonly examples?: number
  readonly clusters?: number
  readonly by_prefix?: readonly PrefixMetric[]
  readonly controls?: {
    readonly length_only?: number,
    readonly random_head?: number,
    readonly random_head_std?: number
    readonly tfidf?: number
  }
}

const measures: Readonly<Record<string, string>> =
  { pair_accuracy: 'tells the better answer', accuracy: 'tells the label' }

/** A share as a bar with its standard error; 0.5 is chance. */
function Bar ({ value, error = 0 }: { readonly value: number, readonly error?: number }) {
  const width = 120
  return (
    <svg
      class='share' width={width}
      height={14}
      aria-hidden='true'
    >
      <rect
        class='back' width={width}
        height={14}
        rx={2}
      />
      <rect
        class='value' width={Math.max(0, width * value)}
        height={14}
        rx={2}
      />
      <line
        class='chance' x1={width / 2}
        x2={width / 2}
        y1={0} y2={14}
      />
      {error > 0 && (
        <path class='whisker' d={`M${width * Math.max(0, value - 1.96 * error)},7H${width * Math.min(1, value + 1.96 * error)}`} />
      )}
    </svg>
  )
}

function Row ({ name, value, error }: {
  readonly name: string, readonly value: number | undefined, readonly error?: number | undefined
}) {
  if (value === undefined) return null
  return (
    <tr>
      <th scope='row'>{name}</th>
      <td class='number'>{decimal(value)}{error === undefined || error === 0 ? '' : ` ± ${decimal(1.96 * error)}`}</td>
      <td class='bar-cell'><Bar value={value} error={error ?? 0} /></td>
    </tr>
  )
}

function Accuracy ({ name, metrics }: { readonly name: string, readonly metrics: Metrics }) {
  const { by_prefix: byPrefix = [], controls = {}, measure = '' } = metrics
  if (byPrefix.length === 0) return null
  return (
    <table class='accuracy'>
      <thead>
        <tr><th scope='col'>{measures[measure] ?? measure}</th><th scope='col'>accuracy, 95 %</th><td /></tr>
      </thead>
      <tbody>
        {byPrefix.map(({ fraction, accuracy, standard_error: error }) => (
          <Row
            key={fraction} name={`${name}, ${percent(fraction)} of the answer read`}
            value={accuracy}
            error={error}
          />
        ))}
        <Row name='control: length alone' value={controls.length_only} />
        <Row name='control: random direction' value={controls.random_head} error={controls.random_head_std} />
        <Row name='control: TF-IDF of the texts' value={controls.tfidf} />
      </tbody>
    </table>
  )
}

const verdictClass = { better: 'good', length: 'bad', chance: 'bad', few: 'wait' } as const

export function RewardCardView ({ card, lean }: { readonly card: RewardCard, readonly lean?: number | null }) {
  const metrics = (card.metrics ?? {}) as Metrics
  const figures = figuresOf(card.metrics)
  const verdict = figures && verdictOf(figures)
  const fit = (card.fit ?? {}) as { examples?: number, data?: string, licence?: string }
  return (
    <div class='reward-card'>
      {verdict && <p class={`verdict ${verdictClass[verdict.kind]}`}>{verdict.kind === 'better' ? '✓' : '⚠'} {verdict.text}</p>}
      <p class='small'>
        {fit.examples !== undefined && <>fitted on {count(fit.examples)} examples</>}
        {metrics.examples !== undefined &&
          <>, checked on {count(metrics.examples)} of {count(metrics.clusters ?? metrics.examples)} prompts{' '}
            ({metrics.split})
          </>}
        {fit.data !== undefined && <>. Data: {fit.data}</>}{fit.licence !== undefined && fit.licence !== 'unknown' && ` (${fit.licence})`}
      </p>
      <Accuracy name={card.id} metrics={metrics} />
      {lean !== undefined && lean !== null && Math.abs(lean) >= 0.02 && (
        <p class='small'>
          The answers you chose are {percent(Math.abs(lean))} {lean < 0 ? 'shorter' : 'longer'} than those you
          did not.
        </p>
      )}
    </div>
  )
}
