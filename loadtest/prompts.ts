/** What load asks: short prompts of our own, different enough that the prefix cache covers only the template. */
const things = ['a lighthouse', 'a bicycle', 'the tides', 'a village bakery', 'sleep', 'old maps', 'honey bees', 'a chess opening', 'winter storms', 'a jazz trio', 'public libraries', 'sourdough bread', 'night trains', 'volcanoes', 'a school garden', 'paper boats']
const tasks = ['Explain in a few sentences what is special about', 'Write a short review of a film about', 'Give three facts about', 'Tell a very short story about']

/** The prompt of the i-th request. */
export function promptOf (index: number): string {
  return `${tasks[index % tasks.length]!} ${things[Math.floor(index / tasks.length) % things.length]!}.`
}
