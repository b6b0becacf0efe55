"""Q-head guidance of a batch: adds strength · value of each next token to the logits, before one is drawn.

With t tokens of an answer and their mean value V, a token v would make the mean (t V + c(v)) / (t + 1), c as the Q-head
foretells it, and an end token would leave it V. Standardised by the prefix member, this is what Fairlead's
``token_guidance`` with ``method: q_head`` adds. Knows slots of requests, not how an engine numbers them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from fairlead_vllm.arguments import Guidance
from fairlead_vllm.tap import Rows, Tap


@dataclass
class Answer:
    """One request under guidance."""

    guidance: Guidance
    #: Tokens that end the answer.
    ends: list[int]
    #: Logits are divided by it later, and values not.
    temperature: float
    #: Tokens drawn at the last step that was seen, and its values per head; sums of those before.
    drawn: int = -1
    last: torch.Tensor | None = None
    sums: torch.Tensor | None = None


def begin(guidance: Guidance, ends: Sequence[int], temperature: float, tap: Tap) -> Answer:
    """A request that enters the batch."""
    sums = torch.zeros(len(tap.heads))
    sums[list(guidance.heads)] = torch.tensor(guidance.sums)
    return Answer(guidance, sorted(ends), temperature, sums=sums.to(tap.bias.device))


def _advance(answer: Answer, drawn: int, values: torch.Tensor) -> int:
    """Takes note of the values after the last token. Returns how many tokens the answer has."""
    # A step is seen twice where a prompt is read in parts, and after a preemption: the last time counts.
    if drawn > answer.drawn and answer.last is not None:
        answer.sums = answer.sums + answer.last
    length = answer.guidance.answer_tokens + drawn
    answer.drawn = drawn
    # The state after the prompt itself is no part of the answer.
    answer.last = values if length > 0 else None
    return length


def _mask(logits: torch.Tensor, top_k: Sequence[int]) -> None:
    """Leaves each row its most probable tokens."""
    most = max(top_k)
    if most == 0:
        return
    vocabulary = logits.shape[-1]
    ranked = logits.topk(min(most, vocabulary), -1).values
    least = torch.stack([
        ranked[row, min(count, vocabulary) - 1] if count else ranked.new_tensor(float("-inf"))
        for row, count in enumerate(top_k)
    ])
    logits.masked_fill_(logits < least.unsqueeze(-1), float("-inf"))


def guide(logits: torch.Tensor, rows: Rows, guided: Sequence[tuple[int, Answer, int]], tap: Tap) -> None:
    """Changes the logits of guided rows. @guided: row, its request, and how many tokens it has drawn."""
    at = [row for row, _, _ in guided]
    values = rows.values[at]
    weights = torch.zeros(len(guided), tap.token.shape[0])
    endings = []
    for index, (_, answer, drawn) in enumerate(guided):
        length = _advance(answer, drawn, values[index])
        ending = 0
        for head, strength in zip(answer.guidance.heads, answer.guidance.strengths, strict=True):
            normalization = tap.heads[head].members["prefix"]["normalization"]
            factor = strength * (answer.temperature or 1) / normalization["std"] / (length + 1)
            weights[index, tap.slices[head]] = factor
            # V - t V / (t + 1), since the others leave t V / (t + 1) out; an answer of no tokens has the mean.
            mean = normalization["mean"] if length == 0 else (answer.sums[head] + answer.last[head]) / length
            ending = ending + factor * mean
        endings.append(ending)
    factors = rows.factors[at] * weights.to(logits.device)
    own = logits[at]
    _mask(own, [answer.guidance.top_k for _, answer, _ in guided])
    kept = own.clone()
    own += factors @ tap.token_factors
    for index, (_, answer, _) in enumerate(guided):
        own[index, answer.ends] = kept[index, answer.ends] + endings[index]
    logits[at] = own
