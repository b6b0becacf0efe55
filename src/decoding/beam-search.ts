/**
 * Reward-weighted beam search: beams grow by sampled steps of tokens, the prefixes that the reward ranks first are kept (Snell et al.
 * 2024, arXiv 2408.03314; with one beam, blockwise best-of-K, Mudgal et al. 2023, arXiv 2310.17022). With a step as long as the
 * answer it is best-of-N with N = num_beams · num_children.
 */
import type { Candidate, Generation } from './candidate.js'
import { byScore, endEvent, finishChoice, openCandidates, retire, scoreAll, startGeneration, TextStream } from './generation.js'
import type { BeamSearchParams } from './parameters.js'
import type { DecodeEvent, KlReport, Strategy } from './runtime.js'
import { bestOfNKl } from './selection.js'

interface Search {
  readonly generation: Generation
  readonly params: BeamSearchParams
  /** Candidates made so far: the index of the next. */
  made: number
  /** Tokens of dropped candidates are in `generated`; their reports are kept. */
  readonly all: Candidate[]
}

/** Children of a beam. The first continues its random stream, and all but the first copy its KV. */
function expand (search: Search, beam: Candidate): Candidate[] {
  const { runtime } = search.generation
  const others = Array.from({ length: search.params.num_children - 1 }, (_, child) => {
    const path = `${beam.path}.${search.made}`
    return beam.fork(search.made++, path, runtime.random(`${path}/${child + 1}`), false)
  })
  // The first child is the beam itself, grown on.
  return [beam, ...others]
}

/** The longest text that all survivors begin with. */
function agreedText (candidates: readonly Candidate[]): string {
  const [first, ...others] = candidates.map(candidate => candidate.certainText)
  let length = first!.length
  for (const other of others) {
    let common = 0
    while (common < Math.min(length, other.length) && other[common] === first![common]) common++
    length = common
  }
  // Half of a surrogate pair is not text.
  const last = first!.charCodeAt(length - 1)
  return first!.slice(0, last >= 0xD800 && last < 0xDC00 ? length - 1 : length)
}

/** Grows, scores and ranks one step. @returns what is kept, best first */
async function step (search: Search, beams: readonly Candidate[], number: number): Promise<{ kept: Candidate[], dropped: Candidate[] }> {
  const { generation, params } = search
  const grown = number === 1 ? [...beams] : beams.filter(beam => !beam.isFinished).flatMap(beam => expand(search, beam))
  await Promise.all(grown.map(candidate => candidate.grow(params.step.tokens)))
  await scoreAll(generation, grown)
  const finishedBefore = number === 1 ? [] : beams.filter(beam => !grown.includes(beam))
  const ranked = [...finishedBefore, ...grown].sort(byScore)
  const [kept, dropped] = [ranked.slice(0, params.num_beams), ranked.slice(params.num_beams)]
  for (const candidate of dropped) {
    candidate.prunedAt = number
    retire(candidate)
  }
  for (const candidate of kept) if (candidate.isFinished) retire(candidate)
  search.all.push(...dropped)
  return { kept, dropped }
}

/** Sampled children under one selection a step: the bound adds up over steps for a single beam; wider beams claim none. */
function klOf (params: BeamSearchParams, steps: number): KlReport {
  if (params.num_beams > 1) return { value: null, kind: null }
  return { value: steps * bestOfNKl(params.num_children), kind: 'upper_bound' }
}

/** Keeps `num_beams` prefixes after each step; returns the best. One choice only: beams share tokens, so several would count some twice. */
export const beamSearch: Strategy<BeamSearchParams> = async function * (runtime, prompt, sampling, params) {
  const generation = startGeneration(runtime, prompt, sampling)
  const width = params.num_beams * params.num_children
  const search: Search = { generation, params, made: width, all: [] }
  const stream = new TextStream(0)
  let beams = await openCandidates(generation, width)
  let steps = 0
  while (steps === 0 || beams.some(beam => !beam.isFinished)) {
    const { kept, dropped } = await step(search, beams, ++steps)
    beams = kept
    for (const candidate of dropped) yield { type: 'candidate', candidate: candidate.report() }
    if (params.return_progress) yield { type: 'progress', candidates: beams.map(({ index, text, score }) => ({ index, text, reward: score!.value })) }
    if (params.max_steps !== null && steps >= params.max_steps) for (const beam of beams) beam.end()
    const agreed: DecodeEvent | null = stream.next(agreedText(beams), [])
    if (agreed) yield agreed
  }
  for (const beam of beams) {
    retire(beam)
    yield { type: 'candidate', candidate: beam.report() }
  }
  const choice = beams[0]!.choice()
  yield { type: 'selection', candidateIndices: [choice.candidateIndex] }
  yield * finishChoice(stream, 0, choice)
  yield endEvent(generation, [...search.all, ...beams].sort((a, b) => a.index - b.index), [choice], klOf(params, steps))
}
