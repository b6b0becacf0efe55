"""Writes where transformers' …ForSequenceClassification takes a text's scores when tokens of padding are in it: the fixture of tests/integration/pooling.test.ts.

    npm run build && node dist/tests/helpers/tiny-checkpoint.js DIR
    python scripts/expected-pooling.py DIR tests/fixtures/expected-pooling.json

Needs torch and transformers (PyPI). The tiny checkpoints of Llama and Qwen 2 with a score head, in float32 with eager attention, each text alone, with several padding tokens.
"""
import json
import pathlib
import sys

import torch
from transformers import AutoModelForSequenceClassification

TEXTS = [[1, 70, 80, 90], [1, 70, 80, 2], [1, 70, 2, 80, 2, 2], [2, 2, 70], [2, 2, 2], [0, 0], [1, 70, 2, 0]]


def main(directory, target):
    cases = []
    for name in ("llama-score", "qwen2-score"):
        model = AutoModelForSequenceClassification.from_pretrained(pathlib.Path(directory) / name, dtype=torch.float32, attn_implementation="eager").eval()
        for pad in (None, 0, 2, -1):
            model.config.pad_token_id = pad
            with torch.no_grad():
                cases += [{"model": name, "pad": pad, "tokens": tokens, "scores": [float(f"{value:.7g}") for value in model(torch.tensor([tokens])).logits[0].tolist()]} for tokens in TEXTS]
    pathlib.Path(target).write_text(json.dumps(cases) + "\n")
    print(len(cases), "cases")


main(*sys.argv[1:])
