"""
What math-verify 0.9.0 (latex2sympy2_extended 1.11.0) makes of answers as models write them: the value of each text, and
which of two boxed answers are equal. Writes tests/fixtures/expected-answers.json.

    pip install math-verify==0.9.0 && python scripts/expected-answers.py

Where Fairlead decides otherwise the entry has `ours` and `why`.
"""
import json
import pathlib

from math_verify import parse, verify
from sympy import Eq

TEXTS = [
    r'\boxed{9{,}500}', r'\boxed{9,500}', r'\boxed{1,234,567}', r'\boxed{\frac{3}{4}}', r'\boxed{\dfrac{3}{4}}',
    r'\boxed{\tfrac{3}{4}}', r'\boxed{-\frac{3}{4}}', r'\boxed{\frac{-3}{4}}', r'\boxed{\frac34}', r'\boxed{\frac{1}{3}}',
    r'\boxed{3\frac{1}{2}}', r'\boxed{0.75}', r'\boxed{.5}', r'\boxed{-0.5}', r'\boxed{+7}', r'\boxed{007}',
    r'\boxed{5.00}', r'\boxed{1.5\times10^{3}}', r'\boxed{1.5 \times 10^3}', r'\boxed{2\cdot 10^{-3}}',
    r'\boxed{10^{-3}}', r'\boxed{2^{10}}', r'\boxed{\sqrt{4}}', r'\boxed{2\sqrt{3}}', r'\boxed{\frac{\sqrt{3}}{2}}',
    r'\boxed{\pi}', r'\boxed{2\pi}', r'\boxed{\frac{\pi}{2}}', r'\boxed{6 \cdot 7}', r'\boxed{90^\circ}',
    r'\boxed{90^{\circ}}', r'\boxed{10\text{ cm}}', r'\boxed{10 \text{ cm}^2}', r'\boxed{10\,\text{cm}}',
    r'\boxed{\$5}', r'\boxed{\$1,234.50}', r'\boxed{x=5}', r'\boxed{x = \frac{1}{2}}', r'\boxed{\text{42}}',
    r'\boxed{\mathrm{42}}', r'\boxed{\mathbf{42}}', r'\boxed{{42}}', r'\boxed{ 42 }', r'\boxed{-5}', r'\boxed{−5}',
    r'so \boxed{3}, or rather \boxed{4}', r'\boxed 5', r'\boxed{\displaystyle\frac{1}{2}}', r'\boxed{\left(5\right)}',
    r'\boxed{1{,}000{,}000}', r'\boxed{12345678901}', r'\boxed{50\%}', r'\boxed{\text{9 apples}}',
    r'\boxed{1\,000}', r'\boxed{1 000 000}', r'\boxed{5!}', r'\boxed{3+4}', r'\boxed{x+5}', r'\boxed{2x}', r'\boxed{}',
    'The answer is 7.', 'The answer is 7', 'It costs $5', 'It is $1,234.50.', 'It is 3/4.', 'It is -3/4.', '10 cm',
    '5-10', '5 to 10', 'from 5 - 10', 'COVID-19', 'H2O', 'I pick B2B', 'it is −5', 'it is -5', '(-5)', 'x=-5',
    'it is –5', '5–10', '90°', '90 degrees', '50%', '1.5e3', '1 1/2 cups', 'It is .5', '3, 4 and 5', 'about 1,000',
    r'thus $x = 5$.', r'thus \(x = 5\).', r'thus \[\frac{3}{4}\]', r'thus $\frac{\sqrt{3}}{2}$.', r'thus $2\sqrt{3}$.',
    r'thus $-5$.', r'thus $10^{3}$.', r'$1.2 \times 10^{4}$', '#### 42', '#### 1,234', '#### -7', 'none at all',
    '10 cm^2', '10 cm²', '3 million', '½', '2½', '５', r'\boxed{5 km}', r'\boxed{12 \text{ square feet}}',
    r'\fbox{5}', '2 x 3 = 6'
]

PAIRS = [
    (r'9{,}500', '9500'), ('9,500', '9500'), ('(3,4)', '(3, 4)'), ('(3,4)', '(4,3)'), ('(3, 4)', r'\left(3,4\right)'),
    ('[1,2)', '[1, 2)'), ('[1,2)', '(1,2)'), (r'\{1,2\}', r'\{2,1\}'), (r'\{1,2\}', r'\{1,3\}'),
    (r'(\frac{1}{2}, 3)', '(0.5, 3)'), (r'(\frac12,3)', r'(\dfrac{1}{2},3)'), ('1,2', '1, 2'), (r'\frac{1}{2}', '0.5'),
    (r'\frac{1}{2}', r'\dfrac{2}{4}'), (r'\frac{1}{3}', '0.3'), (r'\frac{1}{3}', r'\frac{2}{6}'), ('1000.0', '1,000'),
    ('+7', '7'), ('-0', '0'), ('5.00', '5'), ('.5', '0.5'), (r'\$5', '5'), (r'10\text{ cm}', '10'),
    (r'90^\circ', '90'), ('x=5', '5'), ('x=5', 'x = 5'), ('x=5', 'x=6'), (r'\text{Paris}', 'Paris'),
    (r'\text{A}', 'A'), (r'\text{A}', 'B'), (r'2\sqrt{3}', r'2 \sqrt{3}'), (r'\sqrt{12}', r'2\sqrt{3}'),
    (r'\frac{\sqrt{2}}{2}', r'\frac{1}{\sqrt{2}}'), (r'\pi', '3.14'), (r'2\pi', r'2 \cdot \pi'), ('10^{3}', '1000'),
    (r'1.5\times10^{3}', '1500'), (r'3\frac{1}{2}', '3.5'), (r'3\frac{1}{2}', r'\frac{7}{2}'), ('12', '13'),
    ('12345678901234567', '12345678901234568'), ('5-10', '-5'), ('x^2', 'x^{2}'), (r'50\%', '50'),
    (r'50\%', '0.5'), ('5', '-5'), ('(1,23)', '(1, 2)'), (r'\frac{x}{2}', 'x/2'), ('−5', '-5')
]

# What is decided otherwise, and why. Of texts the value, of pairs whether they are equal.
WORDS = 'math-verify compares it as a text, without a value'
OURS = {
    r'\boxed{50\%}': (50, 'a percentage is compared as the number before its sign: an answer to "what percentage"'),
    '50%': (50, 'as in a box'),
    r'\boxed{\text{9 apples}}': (9, 'the only number of a text in words'),
    r'\boxed{1\,000}': (1000, 'a thin space between thousands; math-verify multiplies'),
    r'\boxed{1 000 000}': (None, 'a blank between digits: one number or several, nobody knows'),
    r'\boxed{5!}': (None, 'a factorial or an exclamation'),
    r'\boxed{3+4}': (None, 'a sum that was not computed is no final answer'),
    r'\boxed{−5}': (-5, 'the minus sign of typeset text'),
    '5-10': (10, 'a range ends in its last number; math-verify subtracts'),
    'from 5 - 10': (10, 'as above'),
    '5–10': (10, 'as above, with the dash of typeset text'),
    'COVID-19': (19, 'a hyphen inside a word is no sign'),
    'it is −5': (-5, 'the minus sign of typeset text'),
    'it is –5': (-5, 'a dash in front of a digit, as word processors make of a minus sign'),
    '1.5e3': (1500, 'scientific notation'),
    '1 1/2 cups': (1.5, 'a mixed number'),
    '2½': (2.5, 'a mixed number'),
    '½': (0.5, 'a fraction in one character'),
    '５': (5, 'a digit of full width'),
    '(-5)': (-5, 'a sign behind a bracket'),
    r'so \boxed{3}, or rather \boxed{4}': (4, 'the last box; math-verify makes a set of all'),
    r'\fbox{5}': (5, 'the other command that datasets box with'),
    **{text: (42, WORDS) for text in (r'\boxed{\text{42}}', r'\boxed{\mathrm{42}}', r'\boxed{\mathbf{42}}',
                                      r'\boxed{{42}}')},
}
PERCENT = 'math-verify takes 50% for 50 and for 0.5 at once; parties of a vote cannot be equal so'
OURS_PAIRS = {
    ('5-10', '-5'): (False, 'a range, not a difference'),
    (r'50\%', '50'): (False, PERCENT),
    (r'50\%', '0.5'): (False, PERCENT),
}


def value(text):
    found = parse(text)
    if not found or isinstance(found[0], str):
        return None
    # It takes `x = 5` for equal to 5.
    answer = found[0].rhs if isinstance(found[0], Eq) else found[0]
    try:
        return float(answer.doit())
    except (TypeError, AttributeError, ValueError):
        return None


def equal(one, other):
    return verify(parse(rf'\boxed{{{one}}}'), parse(rf'\boxed{{{other}}}'))


def main():
    texts = [{'text': text, 'value': value(text),
              **({'ours': OURS[text][0], 'why': OURS[text][1]} if text in OURS else {})} for text in TEXTS]
    pairs = [{'one': one, 'other': other, 'equal': equal(one, other),
              **({'ours': OURS_PAIRS[one, other][0], 'why': OURS_PAIRS[one, other][1]} if (one, other) in OURS_PAIRS
                 else {})} for one, other in PAIRS]
    lines = [f'  "{name}": [\n' + ',\n'.join(f'    {json.dumps(row, ensure_ascii=False)}' for row in rows) + '\n  ]'
             for name, rows in (('texts', texts), ('pairs', pairs))]
    path = pathlib.Path(__file__).parent.parent / 'tests/fixtures/expected-answers.json'
    path.write_text('{\n' + ',\n'.join(lines) + '\n}\n')


main()
