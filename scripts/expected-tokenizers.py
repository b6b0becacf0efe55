"""Writes how the tokenizers library (0.23.3) encodes texts with variants of the tests' tiny tokenizer: the fixture of
tests/unit/models/tokenizer/tokenizer.test.ts.

    node dist/tests/helpers/tiny-checkpoint.js DIR
    python scripts/expected-tokenizers.py DIR/llama/tokenizer.json tests/fixtures/expected-tokenizers.json

Needs tokenizers (PyPI). Every variant replaces fields of the tiny tokenizer.json; texts are encoded without what a
post-processor adds.
"""
import itertools
import json
import sys

import tokenizers

with open(sys.argv[1]) as file:
    base = json.load(file)


def added(*changes):
    """The control tokens, each with its flags, and words that are no control tokens behind them."""
    flags = dict(single_word=False, lstrip=False, rstrip=False, normalized=False, special=True)
    texts = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    tokens = [dict(id=number, content=text, **flags) for number, text in enumerate(texts)]
    for number, change in enumerate(changes):
        if number < 3:
            tokens[number].update(change)
        else:
            tokens.append({"id": 261 + number, **flags, "special": False, **change})
    return {"added_tokens": tokens}


def split(pattern, behavior, invert=False):
    return {"type": "Split", "pattern": pattern, "behavior": behavior, "invert": invert}


def cut(*parts):
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    return {"pre_tokenizer": {"type": "Sequence", "pretokenizers": [*parts, level]}}


SPACES = " \t\n\u00a0\u2003\u3000\u0085\ufeff"
END, START = "<|im_end|>", "<|im_start|>"
TOKEN_TEXTS = [
    f"x{END}\n y", f"x \n{END}y", f"{END}", f" {END} ", f"{END}{END}", f"{END} {END}", f"{END}\n\n{START} the",
    f"x{SPACES}{END}{SPACES}y", f"the{END}an", f"the {END}.", f"é{END}é", f"_{END}_", f"1{END}2", f"\u0301{END}\u200d",
    f"{START}\n{END}\n<|endoftext|>\n", "<|im_end|", "<|im_<|im_end|>end|>", f"{END[:-1]}{END}", "<tool><tool>",
    "x <tool> y", "the<tool>an", "<tool>\u00a0<tool>s ", "<tool><tools>", "😀<tool>😀", "", "  the tin  ",
]
WORD_TEXTS = [
    "the 123 ½² ٣٤ tin", "don't, it's 3.14!!", "a\u0085b\ufeffc\u00a0d", "  two  spaces\n\n\tx ", "naïve cafe\u0301",
    "ﬁ Å", "日本語。中文", "a--b__c", "x" * 30, "1234567", "\r\n \r\n x", "…“q”", "",
]
SPACE_TOKEN = {"content": " \n", "rstrip": True}
CASES = [
    *((added(*one), TOKEN_TEXTS) for one in [
        [{}, {}, {"rstrip": True}], [{}, {}, {"lstrip": True}], [{}, {"lstrip": True, "rstrip": True}] + [{"lstrip": True, "rstrip": True}],
        [{}, {}, {"single_word": True}], [{}, {}, {"single_word": True, "rstrip": True, "lstrip": True}],
        [{}, {}, {}, {"content": "<tool>"}, {"content": "<tools>"}],
        [{}, {}, {}, {"content": "<tool>", "single_word": True, "normalized": True}, {"content": "<tools>"}],
        [{}, {}, {"normalized": True, "rstrip": True}, {"content": "<tool>", "lstrip": True}],
        [{}, {}, {"rstrip": True}, SPACE_TOKEN], [{}, {}, {}, {"content": "the"}, {"content": "the an"}],
    ]),
    ({**added({}, {}, {}, {"content": "é<tool>", "normalized": True}), "normalizer": {"type": "NFC"}},
     TOKEN_TEXTS + ["e\u0301<tool>x", "é<tool>", "caf e\u0301"]),
    *((change, WORD_TEXTS) for change in [
        {}, {"normalizer": {"type": "NFKC"}},
        {"normalizer": {"type": "Sequence", "normalizers": [{"type": "NFD"}, {"type": "Replace", "pattern": {"Regex": "\\p{M}+"}, "content": "$1"}]}},
        {"normalizer": {"type": "Prepend", "prepend": "_"}},
        {"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}},
        cut({"type": "Digits", "individual_digits": False}), cut({"type": "Punctuation", "behavior": "Contiguous"}),
        *(cut(split({"Regex": "[0-9a-c]"}, behavior, invert)) for behavior, invert in itertools.product(
            ["Removed", "Isolated", "Contiguous", "MergedWithPrevious", "MergedWithNext"], [False, True])),
        cut(split({"String": "."}, "Isolated"), split({"Regex": "\\p{N}{1,3}"}, "Isolated")),
        cut(split({"Regex": "(?i:'s|'t|'re)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"}, "Isolated")),
    ]),
]
# More merges tell how texts are cut: two neighbours in one word become one token.
merges = ["t h", "Ġ t", "a n", "i n", "th e", "Ġ Ġ", "1 2", "3 4", ". .", "! !", "x x", "- -", "Ċ Ċ", "_ _", "e s"]
vocabulary = dict(base["model"]["vocab"])
for merge in merges[5:]:
    vocabulary[merge.replace(" ", "")] = len(vocabulary)
shared = {"model": {**base["model"], "merges": merges, "vocab": vocabulary}}
fixture = {"merges": merges, "cases": []}
for change, texts in CASES:
    change = json.loads(json.dumps(change))
    for token in change.get("added_tokens", []):
        if token["id"] > 2:
            token["id"] += len(vocabulary) - 264
    tokenizer = tokenizers.Tokenizer.from_str(json.dumps({**base, **shared, **change}))
    rows = [[text, tokenizer.encode(text, add_special_tokens=False).ids] for text in texts]
    fixture["cases"].append({"change": change, "rows": rows})
with open(sys.argv[2], "w") as file:
    json.dump(fixture, file, ensure_ascii=False, separators=(",", ":"))
    file.write("\n")
print(len(CASES), "variants,", sum(len(case["rows"]) for case in fixture["cases"]), "texts")
