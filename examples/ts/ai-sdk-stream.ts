/** Vercel's AI SDK: text streamed as soon as all beams of a search agree on it; `alignment` in providerOptions. */
import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { streamText } from 'ai'

const fairlead = createOpenAICompatible({
  name: 'fairlead',
  baseURL: `${process.env['FAIRLEAD_URL'] ?? 'http://127.0.0.1:8000'}/v1`,
  includeUsage: true
})

const result = streamText({
  model: fairlead('smollm2-135m'),
  prompt: 'Write a short review of a film about a lighthouse keeper.',
  maxOutputTokens: 48,
  seed: 2,
  providerOptions: {
    fairlead: {
      alignment: { strategy: 'beam_search', num_beams: 4, num_children: 4, step: { tokens: 8 }, reward: 'positive' }
    }
  }
})

for await (const text of result.textStream) process.stdout.write(text)

const usage = (await result.usage).raw as { alignment_details?: { generated_tokens: number } } | undefined
console.log(`\n\ndrawn for it: ${usage?.alignment_details?.generated_tokens} tokens`)
