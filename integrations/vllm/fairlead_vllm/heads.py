"""Fairlead's reward descriptors of the kind ``head``, as this plugin needs them: matrices, layers, statistics.

Reads files and knows no engine. The format is docs/rewards.md's and src/rewards/kinds/head.ts's of Fairlead.
"""

import base64
import hashlib
import json
import math
import os
import struct
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch

#: Environment variable with descriptors, or folders of them, separated as in PATH. Unset: the plugin does nothing.
VARIABLE = "FAIRLEAD_REWARDS"


class DescriptorError(ValueError):
    """A descriptor that cannot be used; says which, and why."""


@dataclass(frozen=True, eq=False)
class QHead:
    """Values of all next tokens as a form of rank K: c(s, v) = (A [state; 1]) · (B [embedding; 1])."""

    #: Index into transformers' ``hidden_states``.
    layer: int
    #: A, [K, D + 1] float32.
    state: torch.Tensor
    #: B, likewise.
    token: torch.Tensor
    #: SHA-256 of what it is made of.
    sha256: str


@dataclass(frozen=True, eq=False)
class Head:
    """A linear head on a hidden state; the value of a token is weights · state + bias."""

    name: str
    description: str
    #: Index into transformers' ``hidden_states``: 0 is the embedding.
    layer: int
    #: ``mean``: a score is the mean of the answer's values. ``last``: that of its last token.
    pooling: str
    #: [D] float32.
    weights: torch.Tensor
    bias: float
    #: Members and their statistics, as the descriptor has them.
    members: dict
    #: Model that it was fitted on: id, weightsSha256, format.
    policy: dict
    #: SHA-256 of weights and bias.
    sha256: str
    q_head: QHead | None

    @property
    def width(self) -> int:
        """D."""
        return len(self.weights)


def _matrix(text: str, rank: int, width: int, field: str) -> torch.Tensor:
    data = base64.b64decode(text, validate=True)
    if len(data) != 4 * rank * (width + 1):
        raise DescriptorError(
            f"nextToken.{field} must contain {rank * (width + 1)} float32 numbers in base64; got {len(data)} bytes"
        )
    values = torch.frombuffer(bytearray(data), dtype=torch.float32).reshape(rank, width + 1)
    if not values.isfinite().all():
        raise DescriptorError(f"nextToken.{field} must contain finite numbers only")
    return values


def _digest(data: bytes) -> str:
    """By which Fairlead knows that both read the same descriptor (its src/rewards/kinds/head-digests.ts)."""
    return hashlib.sha256(data).hexdigest()


def _q_head(fields: dict, pooling: str, members: dict, width: int) -> QHead:
    if pooling != "mean" or "prefix" not in members:
        raise DescriptorError('nextToken requires pooling "mean" and a prefix member')
    rank = fields["rank"]
    return QHead(
        layer=fields["layer"],
        state=_matrix(fields["state"], rank, width, "state"),
        token=_matrix(fields["token"], rank, width, "token"),
        sha256=_digest(f"{fields['layer']} {rank} {fields['state']} {fields['token']}".encode()),
    )


def _head(fields: dict) -> Head:
    weights = torch.tensor(fields["weights"], dtype=torch.float32)
    if weights.dim() != 1 or len(weights) == 0 or not weights.isfinite().all() or not math.isfinite(fields["bias"]):
        raise DescriptorError("weights must be a list of finite numbers, and bias one")
    if fields["pooling"] not in ("mean", "last"):
        raise DescriptorError(f'pooling must be "mean" or "last"; got {fields["pooling"]!r}')
    q_head = fields.get("nextToken")
    return Head(
        name=fields["name"],
        description=fields["description"],
        layer=fields["layer"],
        pooling=fields["pooling"],
        weights=weights,
        bias=float(fields["bias"]),
        members=fields["members"],
        policy=fields["policy"],
        sha256=_digest(struct.pack(f"<{len(weights) + 1}d", *fields["weights"], fields["bias"])),
        q_head=None if q_head is None else _q_head(q_head, fields["pooling"], fields["members"], len(weights)),
    )


def read_head(path: Path) -> Head | None:
    """A descriptor's head; None for a reward of another kind. Raises DescriptorError naming the file and the rule."""
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(fields, dict):
            raise DescriptorError("must contain one JSON object")
        return _head(fields) if fields.get("kind") == "head" else None
    except KeyError as error:
        raise DescriptorError(f"{path}: {error.args[0]} is required") from error
    except (OSError, ValueError, TypeError) as error:
        raise DescriptorError(f"{path}: {error}") from error


def find_heads(places: str) -> tuple[list[Head], list[str]]:
    """The heads in files and folders (``*.json``, not deeper), and the files that hold rewards of other kinds."""
    heads: dict[str, Head] = {}
    others = []
    for place in (Path(part) for part in places.split(os.pathsep) if part):
        if not place.exists():
            raise DescriptorError(f"{VARIABLE} must name files and folders that are there; got {place}")
        for file in sorted(place.glob("*.json")) if place.is_dir() else [place]:
            head = read_head(file)
            if head is None:
                others.append(str(file))
            elif head.name in heads:
                raise DescriptorError(f'{file}: the name "{head.name}" is already used')
            else:
                heads[head.name] = head
    return list(heads.values()), others


@lru_cache(maxsize=1)
def configured() -> tuple[Head, ...]:
    """The heads that the environment names, read once a process; none where it names nothing."""
    return tuple(find_heads(os.environ.get(VARIABLE, ""))[0])


def check_model(heads: tuple[Head, ...], width: int, layers: int) -> None:
    """Raises DescriptorError for a head that a model of this width and number of layers cannot have."""
    for head in heads:
        deepest = max(head.layer, head.q_head.layer if head.q_head else 0)
        if head.width != width:
            raise DescriptorError(f"head {head.name} reads states of width {head.width}; the model has width {width}")
        if deepest > layers:
            raise DescriptorError(f"head {head.name} reads layer {deepest}; the model has layers 0 to {layers}")
