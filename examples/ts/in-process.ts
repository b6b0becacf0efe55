/**
 * The engine inside a Node program: a reward is fitted on a few pairs, then it steers. No server, nothing leaves the
 * process. Thirty made-up pairs teach it to prefer answers that address the reader.
 */
import { Fairlead } from 'fairlead'

const topics = ['tea', 'bread', 'rain', 'trains', 'maps', 'bees', 'knots', 'rust', 'clocks', 'moss']
const openings = ['You will like this:', 'Imagine that you hold it in your hand.', 'Have you ever noticed it?']
const pairs = topics.flatMap(topic => openings.map(opening => ({
  prompt: `Tell me about ${topic}.`,
  chosen: `${opening} ${topic} can surprise you, and you can try it yourself.`,
  rejected: `The subject of ${topic} has been documented extensively in the literature.`
})))

const fairlead = await Fairlead.start()
const reward = await fairlead.fit({
  name: 'addresses_you', examples: pairs, replace: true, description: 'prefers answers that address the reader'
})
console.log('fitted', reward.name, 'on', pairs.length, 'pairs')

const ask = {
  messages: [{ role: 'user' as const, content: 'Tell me about lighthouses.' }], max_tokens: 40, seed: 1
}
const plain = await fairlead.generate(ask)
const steered = await fairlead.generate({
  ...ask, alignment: { strategy: 'best_of_n', num_candidates: 8, reward: 'addresses_you' }
})
console.log('plain:  ', plain.choices[0]?.message.content)
console.log('steered:', steered.choices[0]?.message.content)
await fairlead.close()
