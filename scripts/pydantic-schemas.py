"""
Writes JSON Schemas as pydantic 2 makes them, each with values that pydantic takes and values that it refuses: the
fixture of tests/unit/grammar/published-schemas.test.ts.

    python scripts/pydantic-schemas.py tests/fixtures/pydantic-schemas.json

Needs pydantic (PyPI).
"""
import enum
import json
import sys
from datetime import date, datetime
from typing import Annotated, Any, Dict, List, Literal, Optional, Tuple, Union
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, RootModel, TypeAdapter, ValidationError


class Colour(str, enum.Enum):
    """A colour."""

    red = 'red'
    green = 'green'


class Single(str, enum.Enum):
    only = 'only'


class Cat(BaseModel):
    kind: Literal['cat']
    lives: int = Field(9, ge=0, le=9)


class Dog(BaseModel):
    kind: Literal['dog', 'wolf']
    name: str


class Node(BaseModel):
    value: int
    children: List['Node'] = []


class Closed(BaseModel):
    model_config = ConfigDict(extra='forbid', title='Closed one', json_schema_extra={'examples': [{'a': 1}]})
    a: int = Field(description='a number', examples=[1, 2], deprecated=True)


class Open(BaseModel):
    model_config = ConfigDict(extra='allow')
    a: bool


class Described(BaseModel):
    closed: Closed = Field(description='beside a reference', default=Closed(a=1))
    colour: Colour = Field(Colour.red, description='beside a reference')


class Optionals(BaseModel):
    a: Optional[int] = None
    b: Optional[Cat] = Field(None, title='B')
    c: Union[int, str] = 0
    d: Annotated[Optional[str], Field(max_length=3)] = None


class Pets(BaseModel):
    pet: Annotated[Union[Cat, Dog], Field(discriminator='kind')]


class Numbered(BaseModel):
    zeta: int
    ten: int = Field(alias='10')
    two: int = Field(alias='2')


cases = {
    'literal': (Literal['a'], ['a'], ['b']),
    'literals of several types': (Literal['a', 1, None], ['a', 1, None], ['b', 2]),
    'enum': (Colour, ['red'], ['blue']),
    'enum of one value': (Single, ['only'], ['other']),
    'discriminated union': (Pets, [{'pet': {'kind': 'cat', 'lives': 3}}, {'pet': {'kind': 'wolf', 'name': 'x'}}],
                            [{'pet': {'kind': 'cow'}}, {'pet': {'kind': 'dog'}}]),
    'optional fields': (Optionals, [{}, {'a': None}, {'a': 1, 'b': {'kind': 'cat', 'lives': 1}, 'c': 'x', 'd': 'abc'}],
                        [{'a': 'x'}, {'d': 'abcd'}]),
    'recursive': (Node, [{'value': 1, 'children': [{'value': 2, 'children': []}]}], [{'children': []}]),
    'extra forbidden': (Closed, [{'a': 1}], [{}, {'a': 1, 'b': 2}]),
    'extra allowed': (Open, [{'a': True}, {'a': True, 'b': [1]}], [{'b': 1}]),
    'keywords beside references': (Described, [{}, {'closed': {'a': 2}, 'colour': 'green'}], [{'colour': 'blue'}]),
    'names that are numbers': (Numbered, [{'zeta': 1, '10': 2, '2': 3}], [{'zeta': 1}]),
    'dictionary': (Dict[str, int], [{}, {'a': 1}], [{'a': 'x'}]),
    'dictionary of listed names': (Dict[Colour, int], [{}, {'red': 1}, {'red': 1, 'green': 2}], [{'blue': 1}]),
    'dictionary of literals': (Dict[Literal['x', 'y'], bool], [{'x': True, 'y': False}], [{'z': True}]),
    'tuple': (Tuple[int, str], [[1, 'a']], [[1], ['a', 1], [1, 'a', 2]]),
    'list of bounded length': (Annotated[List[int], Field(min_length=1, max_length=2)], [[1], [1, 2]], [[], [1, 2, 3]]),
    'bounded number': (Annotated[float, Field(gt=0, le=1)], [0.5, 1], [0, 1.5]),
    'bounded text': (Annotated[str, Field(min_length=1, max_length=2)], ['a', 'ab'], ['', 'abc']),
    'date and time': (datetime, ['2024-01-02T03:04:05Z'], ['yesterday']),
    'date': (date, ['2024-02-29'], ['2023-02-29']),
    'uuid': (UUID, ['123e4567-e89b-12d3-a456-426614174000'], ['x']),
    'any': (Any, [1, 'a', None, {}], []),
    'root model': (RootModel[List[Colour]], [['red']], [['blue']]),
    'set': (set, [], []),
    'pattern': (Annotated[str, Field(pattern=r'^\d+$')], ['12'], ['x']),
    'multiple': (Annotated[int, Field(multiple_of=3)], [3], [4]),
    'bytes': (bytes, [], []),
}


def takes(adapter, value):
    try:
        adapter.validate_json(json.dumps(value))
        return True
    except ValidationError:
        return False


out = []
for name, (kind, good, bad) in cases.items():
    adapter = TypeAdapter(kind)
    for value in good:
        assert takes(adapter, value), (name, value)
    for value in bad:
        assert not takes(adapter, value), (name, value)
    # As text: the order of keys is that of the fields.
    good, bad = ([json.dumps(value) for value in values] for values in (good, bad))
    out.append({'name': name, 'schema': json.dumps(adapter.json_schema()), 'good': good, 'bad': bad})
with open(sys.argv[1], 'w') as file:
    json.dump(out, file, indent=1)
    file.write('\n')
