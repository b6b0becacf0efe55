/**
 * A stated taste, "concrete and short", as a rule that votes: what stands in for a person in `npm run teach-walk`. It
 * was written down before anything was rated by it. Pure.
 */

/** Things that can be seen or touched. */
const things = `air animal apple arm ball bag bath battery bed bell belt bike bird blanket board boat body bone book
boot bottle bowl box brake bread brick brush bucket button bus cable cake camera candle car card cat chain chair child
clock cloth coat coffee coin cup dog door dough drawer ear egg engine eye face fence finger fire fish floor flour flower
foot fork fridge friend fruit garden gate glass glove grass hair hammer hand hat head heart heel hill hole horse hose
house key kitchen knee knife ladder lake lamp leaf leg lemon letter lid light lock map meat milk mirror moon mouth
muscle nail neck needle net nose nut oil onion oven paint pan paper pedal pen pencil phone pillow pipe plant plate pot
potato rain rice river road rock roof room root rope salad salt sand school screen screw seat seed shelf shirt shoe shop
shower sink skin sky sleeve snow soap sock soil soup spoon star stone stove street string sugar sun table tap tape tea
tent thread ticket tin tomato tongue tool tooth towel tree truck tube umbrella valve vegetable vinegar wall watch water
wheel window wire wood wool yeast`.split(/\s+/)

/** Numbers and measures in words; digits count, too. */
const measures = `two three four five six seven eight nine ten eleven twelve twenty thirty forty fifty hundred thousand
million half quarter dozen second minute hour day week month year inch foot metre meter centimetre mile kilometre gram
kilogram ounce pound litre liter teaspoon tablespoon degree percent euro dollar`.split(/\s+/)

/** Words that could stand in any answer. */
const vague = `very really quite truly simply overall important importance essential crucial vital key various several
numerous many different unique amazing wonderful great perfect beautiful powerful valuable effective effectively proper
properly appropriate certain thing something stuff way aspect factor experience journey process ensure consider
essentially basically generally typically significant significantly understand understanding knowledge information
concept provide improve involve enhance focus success successful goal challenge opportunity`.split(/\s+/)

/** Two answers whose points are no further apart are about the same. */
const margin = 2

/** A word as the lists have it: lower case, a plural without its ending. */
const isIn = (list: ReadonlySet<string>, word: string): boolean =>
  list.has(word) || list.has(word.replace(/s$/, '')) || list.has(word.replace(/es$/, ''))

const [concreteWords, vagueWords] = [new Set([...things, ...measures]), new Set(vague)]

/** What the taste counts of an answer. */
export interface Counted {
  readonly words: number
  /** Things, numbers and measures. */
  readonly concrete: number
  readonly vague: number
  /** What the taste makes of them: more is better. */
  readonly points: number
}

export function count (answer: string): Counted {
  // The numbers of a list are no figures.
  const words = answer.replaceAll(/^\s*\d+[.)]/gm, '').toLowerCase().match(/[\p{L}\p{N}’'.]*[\p{L}\p{N}]/gu) ?? []
  const concrete = words.filter(word => /\d/.test(word) || isIn(concreteWords, word)).length
  const vague = words.filter(word => isIn(vagueWords, word)).length
  const points = 100 * (concrete - vague) / Math.max(1, words.length) - words.length / 4
  return { words: words.length, concrete, vague, points }
}

/** Which of two answers the taste prefers. */
export function prefer (left: string, right: string): 'left' | 'right' | 'same' {
  const difference = count(left).points - count(right).points
  if (Math.abs(difference) <= margin) return 'same'
  return difference > 0 ? 'left' : 'right'
}

/** The taste in words, as the page is told it. */
export const taste = 'Concrete and short: things, numbers and measures rather than words that fit any answer.'

/** The rule, for whoever reads what it voted. */
export const rule = `points = 100 × (concrete − vague) ÷ words − words ÷ 4

concrete: words with a digit (the numbers of a list apart), and ${measures.length} measures and ${things.length} things:
${measures.slice(0, 12).join(', ')} …; ${things.slice(0, 12).join(', ')} …
vague: ${vague.length} words: ${vague.slice(0, 16).join(', ')} …
The answer with more points wins; ${margin} points apart or less is “about the same”.`
