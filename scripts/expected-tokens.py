"""Writes how llama.cpp tokenises varied texts with the default model: the fixture of tests/e2e/tokenizer.test.ts.

    python scripts/expected-tokens.py MODEL.gguf tests/fixtures/expected-tokens.json

Needs llama-cpp-python (PyPI). Special-token texts are not parsed: they are plain text.
"""
import itertools
import json
import sys

import llama_cpp

PIECES = ["Hello", " world", "don't", " it's", "2024", " 3.14159", "100 000", "日本語のテキスト", "中文，测试。", "한국어", "Привет, мир!", "naïve café", "🙂", "👩‍👩‍👧‍👦", "é", "¿Qué?", "   ", "\t", "\n\n", "\r\n", " \n ",
          "def f(x):\n    return x ** 2\n", "{\"a\": [1, 2, 3]}", "a_b-c.d/e", "https://example.org/?q=1&r=2", "ALLCAPS", "camelCaseWord", "<|im_end|>", "<tag attr='x'>", "№", "½", "…", "“quoted”", "\u200b", "\u00a0", "ﬁ", "x" * 40, "!!!???", "'''", "I'll we've they'd YOU'RE"]

tokenizer = llama_cpp.Llama(sys.argv[1], vocab_only=True, verbose=False)
texts = PIECES + [a + b for a, b in itertools.islice(itertools.product(PIECES, PIECES), 0, None, 5)]
fixture = [{"text": text, "tokens": tokenizer.tokenize(text.encode(), add_bos=False, special=False)} for text in texts]
with open(sys.argv[2], "w") as file:
    json.dump(fixture, file, ensure_ascii=False)
print(len(fixture), "texts")
