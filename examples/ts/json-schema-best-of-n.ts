/**
 * Valid by construction, right by search: a JSON Schema holds every answer to its form, and a reward picks one that
 * passes a check. Up to 16 answers are drawn, 4 at a time; drawing stops once one of them passes.
 */
import OpenAI from 'openai'
import type {} from 'fairlead/openai' // adds alignment to the client's types

const client = new OpenAI({ baseURL: `${process.env['FAIRLEAD_URL'] ?? 'http://127.0.0.1:8000'}/v1`, apiKey: 'none' })

const schema = {
  type: 'object',
  properties: {
    title: { type: 'string', maxLength: 40 },
    stars: { type: 'integer', minimum: 1, maximum: 5 },
    verdict: { enum: ['see it', 'wait for it', 'skip it'] }
  },
  required: ['title', 'stars', 'verdict'],
  additionalProperties: false
}

const completion = await client.chat.completions.create({
  model: 'smollm2-135m',
  messages: [{ role: 'user', content: 'Review a film about a lighthouse keeper, as JSON.' }],
  max_tokens: 80,
  seed: 1,
  response_format: { type: 'json_schema', json_schema: { name: 'review', schema, strict: true } },
  alignment: {
    strategy: 'best_of_n',
    num_candidates: 16,
    reward: 'positive',
    // Enough is enough: half a standard deviation above the model's usual tone.
    stop_when: { min_reward: 0.5, every: 4 }
  }
})

const review = JSON.parse(completion.choices[0]!.message.content!) as { stars: number, verdict: string }
console.log(review)
console.log('drawn:', completion.usage?.alignment_details?.generated_tokens, 'tokens')
