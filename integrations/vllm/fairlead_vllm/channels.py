"""How numbers leave the engine: beside the logits, in the places of tokens that are as good as never drawn.

vLLM gives no way to return more than tokens and log-probabilities. So the last tokens of the vocabulary lend their
places: ``reference`` holds a fixed number, and each head has two more, for the mantissa and the exponent of its value
as differences to it, which survive the normalisation. All lie 40 nats or more below the largest logit, which changes
no other probability in float32. The probability of the tokens that lent their places is kept as a sum in ``sink``, so
that the log-probabilities of all others are exact; before a token is drawn their own logits are put back
(``Restored``). Only log-probabilities of the lenders themselves are not theirs.
"""

from dataclasses import dataclass

import torch

#: How far the reference lies below the largest logit, nats.
DEPTH = 80.0
#: Nats per unit of mantissa, which is in (-1, 1), and of exponent, which is in [-126, 127].
MANTISSA = 32.0
EXPONENT = 0.25


@dataclass(frozen=True)
class Channels:
    """Tokens that lend their places: two, and two for each head, in the heads' order."""

    tokens: tuple[int, ...]

    @property
    def sink(self) -> int:
        """Holds the probability of all of them."""
        return self.tokens[0]

    @property
    def reference(self) -> int:
        """Holds what the others are differences to."""
        return self.tokens[1]

    def of(self, head: int) -> tuple[int, int]:
        """Tokens of a head's mantissa and exponent."""
        return self.tokens[2 + 2 * head], self.tokens[3 + 2 * head]


def choose(vocabulary: int, heads: int, special: set[int]) -> Channels:
    """The last tokens of a vocabulary, where models have padding, reserved or the rarest ones; none of the special."""
    count = 2 + 2 * heads
    free = [token for token in range(vocabulary - 1, -1, -1) if token not in special][:count]
    if len(free) < count:
        raise ValueError(f"{heads} heads need the places of {count} tokens; the vocabulary has {vocabulary}")
    return Channels(tuple(free))


def write(logits: torch.Tensor, values: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """Puts values [rows, heads] into logits [rows, vocabulary], float32 both. Returns what stood in the places."""
    lent = logits[:, tokens].clone()
    reference = logits.amax(-1, keepdim=True) - DEPTH
    mantissa, exponent = torch.frexp(values)
    pairs = torch.stack((MANTISSA * mantissa, EXPONENT * exponent.to(values.dtype)), -1).flatten(1)
    logits[:, tokens[:1]] = lent.logsumexp(-1, keepdim=True)
    logits[:, tokens[1:2]] = reference
    logits[:, tokens[2:]] = reference + pairs
    return lent


def read(logprobs: dict[int, float], channels: Channels, head: int) -> float:
    """A head's value from the log-probabilities of one position, by token. What a client does; see README.md."""
    reference = logprobs[channels.reference]
    mantissa, exponent = (logprobs[token] - reference for token in channels.of(head))
    return mantissa / MANTISSA * 2.0 ** round(exponent / EXPONENT)
