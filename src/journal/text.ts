/**
 * A run as text: a line per step, the tree of candidates, what it took. For terminals and for readers of screens. Knows
 * no terminal.
 */
import type { RunUsage } from './entries.js'
import type { Lineage, Rewarded, Run, RunStep } from './fold.js'

/** Columns of text shown of a candidate. */
const width = 72

/** Text without control characters that terminals would obey. */
export const printable = (text: string): string =>
  // eslint-disable-next-line no-control-regex
  text.replaceAll(/[\u0000-\u0008\u000B-\u001F\u007F-\u009F\u202A-\u202E\u2066-\u2069]/g,
    character => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)

/** Text in one line, cut to a width. */
export function oneLine (text: string, length: number): string {
  const flat = printable(text.replaceAll(/\s+/g, ' '))
  return flat.length > length ? `${flat.slice(0, length - 1)}…` : flat
}

/** A reward in six columns. */
export const figure = (reward: number | null | undefined): string =>
  (reward === null || reward === undefined ? '–' : reward.toFixed(2)).padStart(6)

/** Choices by candidate. */
const chosenOf = ({ select }: Run): readonly number[] => select?.chosen ?? []

/** One step in one line: the candidates kept and pruned, with their rewards, a dot behind those that have ended. */
export function stepLine ({ candidates }: Run, { n, kept, dropped }: RunStep): string {
  const list = (listed: readonly Rewarded[]): string => listed.map(([index, reward]) =>
    `${index}${candidates.get(index)?.ended ? '.' : ''} (${figure(reward).trim()})`).join(', ')
  return `step ${n}: kept ${list(kept)}${dropped.length === 0 ? '' : `; pruned ${list(dropped)}`}`
}

function label ({ index, parent, at, characters, reward, tokens, droppedAt, text }: Lineage, run: Run): string {
  const own = `${parent === null ? '' : `…[${at}] `}${oneLine(text.slice(characters), width)}`
  const fate = droppedAt === null ? '' : ` pruned at ${droppedAt}`
  return `${index} ${figure(reward)} ${String(tokens).padStart(4)} ` +
    `tokens${fate}${chosenOf(run).includes(index) ? ' ◀ chosen' : ''}  ${own}`
}

/**
 * The tree of candidates: children below the candidate they were forked from, each with its reward, length, fate and
 * the text that is its own, behind the token at which it was forked.
 */
export function treeText (run: Run): string {
  const all = [...run.candidates.values()].sort((a, b) => a.index - b.index)
  const childrenOf = (index: number | null): Lineage[] => all.filter(one => one.parent === index ||
    (index === null && one.parent !== null && !run.candidates.has(one.parent)))
  const lines = (index: number | null, indent: string): string[] =>
    childrenOf(index).flatMap((one, place, siblings) => {
      const last = place === siblings.length - 1
      return [`${indent}${last ? '└─' : '├─'} ${label(one, run)}`, ...lines(one.index, `${indent}${last ? '   ' : '│  '}`)]
    })
  return ['prompt', ...lines(null, '')].join('\n')
}

const seconds = (milliseconds: number): string => `${(milliseconds / 1000).toFixed(2)} s`

function ledgerLine (usage: RunUsage): string {
  return `generated ${usage.generated_tokens} = returned ${usage.returned_tokens} + discarded ` +
    `${usage.discarded_tokens} tokens · reward tokens ${usage.reward_tokens} · ${usage.forward_passes} forward passes`
}

function outcomeLines ({ state, done, fail, t, missing }: Run): string[] {
  const kl = done?.kl.value ?? null
  return [
    ...done ? [ledgerLine(done.usage)] : [],
    ...done && kl !== null ? [`KL from the policy ${kl.toFixed(3)} nats (${done.kl.kind})`] : [],
    ...done?.stopped_by ? [`stopped by ${done.stopped_by}`] : [],
    ...(done?.warnings ?? []).map(({ message }) => `warning: ${message}`),
    ...fail ? [`failed: ${fail.message} (${fail.code})`] : [],
    ...missing > 0 ? [`${missing} entries are missing: the journal had reached its size`] : [],
    `${state === 'done' || state === 'failed' ? 'took' : 'recorded for'} ${seconds(t)}`
  ]
}

/** A whole run: what was asked for, its steps, its candidates, its answers, what it took. */
export function runText (run: Run): string {
  const { head, start, queued, steps, choices, candidates } = run
  const asked = [
    ...head ? [`${head.id}  ${head.model}  ${head.fingerprint}  Fairlead ${head.server}`] : [],
    ...start
      ? [`${start.strategy}, seed ${start.seed}, prompt of ${start.prompt} tokens` +
        start.rewards.map(([name, member, , weight]) => `, ${name} × ${weight} (${member})`).join('')]
      : [],
    ...queued ? [`waited behind ${queued} requests`] : []
  ]
  const answers = choices.flatMap(({ index, characters }, choice) => index === null
    ? []
    : [`${choices.length > 1 ? `answer ${choice}: ` : ''}${printable(candidates.get(index)?.text.slice(0, characters) ?? '')}`])
  return [asked, steps.map(step => stepLine(run, step)), [treeText(run)], answers, outcomeLines(run)]
    .filter(lines => lines.length > 0).map(lines => lines.join('\n')).join('\n\n')
}
