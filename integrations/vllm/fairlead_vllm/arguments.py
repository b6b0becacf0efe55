"""What a request says in ``vllm_xargs``, checked. Knows no engine."""

from dataclasses import dataclass
from typing import Any

from fairlead_vllm.heads import Head

_PREFIX = "fairlead_"
#: Most tokens that guidance may consider.
MOST_CANDIDATES = 1024


@dataclass(frozen=True)
class Guidance:
    """Guidance of one request by next-token members."""

    #: Positions among the configured heads.
    heads: tuple[int, ...]
    #: Factor of each head's standardised value.
    strengths: tuple[float, ...]
    #: How many of the prompt's last tokens are the answer's first.
    answer_tokens: int
    #: Per head: the sum of its values over those tokens, the last of them left out, which is read here.
    sums: tuple[float, ...]
    #: How many of the most probable tokens may be drawn; 0 is all.
    top_k: int


def _refuse(field: str, rule: str, value: Any) -> ValueError:
    return ValueError(f"{_PREFIX}{field} must {rule}; got {value!r}")


def _listed(value: Any) -> list:
    return value if isinstance(value, list) else [value]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= 1e6


def _numbers(arguments: dict, field: str, count: int, default: list[float]) -> tuple[float, ...]:
    given = arguments.get(_PREFIX + field)
    if given is None:
        return tuple(default)
    numbers = _listed(given)
    if len(numbers) != count or not all(_is_number(number) for number in numbers):
        raise _refuse(field, f"contain {count} numbers, one for each of {_PREFIX}guide, within ±1e6", given)
    return tuple(float(number) for number in numbers)


def _integer(arguments: dict, field: str, default: int, most: int) -> int:
    given = arguments.get(_PREFIX + field, default)
    if not isinstance(given, int) or isinstance(given, bool) or not 0 <= given <= most:
        raise _refuse(field, f"be an integer from 0 to {most}", given)
    return given


def parse(arguments: dict[str, Any] | None, heads: tuple[Head, ...]) -> Guidance | None:
    """Guidance that a request asks for; None where it asks for none. Raises ValueError naming field, rule and value."""
    own = {key: value for key, value in (arguments or {}).items() if key.startswith(_PREFIX)}
    if not own:
        return None
    known = ("guide", "strength", "answer_tokens", "sums", "top_k")
    for key in own:
        if key.removeprefix(_PREFIX) not in known:
            raise ValueError(f"{key} is unknown; there are {', '.join(_PREFIX + name for name in known)}")
    guiding = {head.name: index for index, head in enumerate(heads) if head.q_head}
    names = _listed(own.get(_PREFIX + "guide", []))
    if not names or len(set(map(str, names))) != len(names) or any(name not in guiding for name in names):
        rule = f"name different rewards with a next-token member ({', '.join(guiding) or 'none is loaded'})"
        raise _refuse("guide", rule, own.get(_PREFIX + "guide"))
    answer_tokens = _integer(own, "answer_tokens", 0, 1 << 24)
    if answer_tokens > 1 and _PREFIX + "sums" not in own:
        raise _refuse("sums", f"be given with {_PREFIX}answer_tokens above 1", None)
    return Guidance(
        heads=tuple(guiding[name] for name in names),
        strengths=_numbers(own, "strength", len(names), [1.0] * len(names)),
        answer_tokens=answer_tokens,
        sums=_numbers(own, "sums", len(names), [0.0] * len(names)),
        top_k=_integer(own, "top_k", 20, MOST_CANDIDATES),
    )
