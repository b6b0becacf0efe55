"""What a model with heads computes beside its logits: the heads' values and the Q-heads' factors of each row.

Knows tensors, not vLLM: ``models.py`` calls it with hidden states and logits, ``processor.py`` takes what it left.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from fairlead_vllm import channels
from fairlead_vllm.channels import Channels
from fairlead_vllm.heads import Head

#: Numbers of 16 bits that hold one of 32.
_PIECES = 3
#: Tokens whose embeddings are looked up at once.
_AT_ONCE = 8192


@dataclass(frozen=True)
class Rows:
    """One step's rows, as ``Tap.leave`` made them."""

    #: [rows, heads] float32: weights · state + bias.
    values: torch.Tensor
    #: [rows, sum of ranks] float32: A [state; 1] of all Q-heads, side by side.
    factors: torch.Tensor
    #: What the channels' places held, and what was written there.
    lent: torch.Tensor
    written: torch.Tensor


def split(numbers: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Float32 numbers [rows, n] as columns of another type, which add up to them: three of 16 bits, or one."""
    if dtype == torch.float32:
        return numbers
    pieces = []
    for _ in range(_PIECES):
        pieces.append(numbers.to(dtype))
        numbers = numbers - pieces[-1].float()
    return torch.cat(pieces, -1)


def join(columns: torch.Tensor) -> torch.Tensor:
    """The numbers that ``split`` made columns of."""
    return columns if columns.dtype == torch.float32 else columns.float().unflatten(-1, (_PIECES, -1)).sum(-2)


class Tap(nn.Module):
    """Matrices of all heads, and the last step's rows."""

    def __init__(self, heads: Sequence[Head], places: Channels):
        super().__init__()
        self.heads = tuple(heads)
        self.channels = places
        #: Of the last call of ``leave``; None before the first.
        self.rows: Rows | None = None
        #: [sum of ranks, vocabulary] float32: B [embedding; 1] of all Q-heads, once it is known.
        self.token_factors: torch.Tensor | None = None
        guiding = [head.q_head for head in heads if head.q_head]
        #: Whose states are read.
        self.layers = tuple(sorted({head.layer for head in heads} | {q_head.layer for q_head in guiding}))
        #: Each head's columns among the factors; none where it has no Q-head.
        self.slices: list[slice] = []
        # One row a number: first the heads' values, then the Q-heads' factors.
        rows = [(head.layer, torch.cat((head.weights, torch.tensor([head.bias]))).unsqueeze(0)) for head in heads]
        used = 0
        for head in heads:
            rank = len(head.q_head.state) if head.q_head else 0
            self.slices.append(slice(used, used + rank))
            used += rank
        rows += [(q_head.layer, q_head.state) for q_head in guiding]
        whole = torch.cat([block for _, block in rows])
        for layer in self.layers:
            # Rows of other layers are zeros: their sum over layers is all numbers.
            own = torch.cat([block if at == layer else torch.zeros_like(block) for at, block in rows])
            self._hold(f"matrix_{layer}", own[:, :-1].contiguous())
        self._hold("bias", whole[:, -1].contiguous())
        self._hold("places", torch.tensor(places.tokens))
        self._hold("token", torch.cat([q_head.token for q_head in guiding]) if guiding else whole[:0])

    def _hold(self, name: str, tensor: torch.Tensor) -> None:
        self.register_buffer(name, tensor.to(torch.get_default_device()), persistent=False)

    def project(self, states: Mapping[int, torch.Tensor]) -> torch.Tensor:
        """All numbers [rows, heads + sum of ranks] from the states [rows, D] of ``layers``, in float32."""
        numbers = self.bias
        for layer in self.layers:
            numbers = numbers + states[layer].float() @ getattr(self, f"matrix_{layer}").T
        return numbers

    def learn_tokens(self, embed: Callable[[torch.Tensor], torch.Tensor], vocabulary: int) -> None:
        """Computes the tokens' side of the Q-heads from their embeddings. @ranks of a tensor-parallel group together"""
        parts = []
        for tokens in torch.arange(vocabulary, device=self.token.device).split(_AT_ONCE):
            parts.append(self.token[:, :-1] @ embed(tokens).float().T + self.token[:, -1:])
        self.token_factors = torch.cat(parts, -1)

    def leave(self, logits: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
        """Writes the heads' values into a step's logits and keeps what guidance needs. Returns them in float32."""
        logits = logits.float()
        values, factors = numbers.split((len(self.heads), self.token.shape[0]), -1)
        lent = channels.write(logits, values, self.places)
        self.rows = Rows(values, factors, lent, logits[:, self.places])
        return logits

    def restore(self, logits: torch.Tensor) -> Rows:
        """Puts the lenders' own logits back, whatever was added to them since. Returns the step's rows."""
        rows, self.rows = self.rows, None
        if rows is None or len(rows.lent) != len(logits):
            raise RuntimeError("fairlead: logits of a step that the model with heads did not compute")
        logits[:, self.places] += rows.lent - rows.written
        return rows


#: The tap of this process's model.
_installed: Tap | None = None


def install(tap: Tap) -> Tap:
    """Makes a tap the one that the logits processor reads."""
    global _installed
    _installed = tap
    return tap


def installed() -> Tap | None:
    """The tap of this process's model; None where it has no heads."""
    return _installed
