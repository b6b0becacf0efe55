/** The card of a small reward model of our own: what only it has to tell. */
import type { ClassifierDescriptor } from '../../../src/rewards/kinds/classifier.js'
import type { Naming } from '../../../src/rewards/descriptor.js'
import type { Share } from '../../../src/statistics/metrics.js'
import { cardOf } from './card.js'

/** What the descriptor cannot know. */
export interface ReaderNotes {
  /** Of the adapter's file. */
  readonly sizeBytes: number
  /** Accuracy on longer texts that nothing was trained on. */
  readonly reviews: Share & { readonly auc: number, readonly count: number, readonly tokens: number }
}

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`

export function classifierCard (
  { name, description, layers, model, adapter, format, fit, metrics, members }: Naming & ClassifierDescriptor,
  { sizeBytes, reviews }: ReaderNotes
): string {
  if (!fit || !metrics) throw new Error(`${name} has no figures to print`)
  const rows =
    `| is | the first ${layers} layers of ${model} (${format}) with a score head; low-rank differences of rank 16 to the upper 4, in [${adapter}/](${adapter}), ${(sizeBytes /
      1e6).toFixed(1)} MB |
| reads | the answer as an assistant’s turn, without the conversation before it; in its own KV, each token once |
| trained by | every position foretells the label, later ones with more weight, and the end of the turn as much as all of them together (log loss); ${fit.examples} texts, one epoch, AdamW, products in bfloat16; begun at a logistic regression on the base’s states |
| data | ${fit.data} |
| licence of the data | ${fit.licence} |
| licence of the base | Apache-2.0 (SmolLM2-135M-Instruct, Hugging Face) |
| made by | \`prepare-reader.js\`, \`train-reader.py\`, \`finish-reader.js\` of [make/](make/), in this order; each says its command |
`
  return cardOf({
    name,
    description,
    rows,
    metrics,
    members,
    notes: {
      command: '',
      preparation: 'Texts in ordinary spelling (tidy.ts), as the policy writes. About one in twenty training texts ' +
        'was kept back to judge the training by. The logits are those of transformers and peft on the same weights ' +
        '(tests/e2e/reader.test.ts).',
      measured: [`Other texts, never seen: the first ${reviews.tokens} tokens of ${reviews.count} film reviews ` +
        `(sentiment_reviews.test), accuracy ${percent(reviews.value)} ± ${percent(reviews.standardError)}, AUC ` +
        `${reviews.auc.toFixed(3)}.`],
      limits: [
        'Trained on single sentences about films in English; other subjects and long texts are further from what ' +
          'it knows.',
        'It does not see the question: it judges tone, not whether the tone fits.',
        'It costs half a forward pass of the policy for each token, where positive costs none; it is here to show ' +
          'the path of a reward model of one’s own, and as a second opinion on positive.',
        'Irony, and praise of one thing inside criticism of another, mislead it.'
      ]
    }
  })
}
