/**
 * What load asks: short prompts of our own, different enough that the prefix cache covers only the template; and long
 * ones made of them.
 */
const things = ['a lighthouse', 'a bicycle', 'the tides', 'a village bakery', 'sleep', 'old maps', 'honey bees',
  'a chess opening', 'winter storms', 'a jazz trio', 'public libraries', 'sourdough bread', 'night trains', 'volcanoes',
  'a school garden', 'paper boats']
const tasks = ['Explain in a few sentences what is special about', 'Write a short review of a film about',
  'Give three facts about', 'Tell a very short story about']

/** The prompt of the i-th request. */
export function promptOf (index: number): string {
  return `${tasks[index % tasks.length]!} ${things[Math.floor(index / tasks.length) % things.length]!}.`
}

/** About so many words of notes, others for every index from the first word on. */
export function notesOf (index: number, words: number): string {
  const lines: string[] = []
  for (let at = index, count = 0; count < words; at++) {
    const line = `Note ${index + 1}.${at - index + 1}: somebody asked me to ` +
      `${promptOf(at).replace(/\.$/, '').toLowerCase()}, and I wrote it down.`
    lines.push(line)
    count += line.split(' ').length
  }
  return lines.join('\n')
}
