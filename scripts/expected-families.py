"""Writes what transformers computes for tiny random checkpoints of each family: the fixture of tests/integration/families.test.ts.

    npm run build && node dist/tests/helpers/tiny-checkpoint.js DIR
    python scripts/expected-families.py DIR tests/fixtures/expected-families.json

Needs torch and transformers (PyPI). Checkpoints are loaded in float32 with eager attention. Language models: log-normaliser and the logits of eight fixed ids after every
position. Classifiers: the scores of every prefix, from …ForSequenceClassification. Qwen's process reward model and trl's value head are not in transformers: their heads are
applied here to the base model's last hidden state, as the models' own code does.
"""
import json
import pathlib
import sys

import safetensors.torch
import torch
from tokenizers import Tokenizer
from transformers import AutoModel, AutoModelForCausalLM, AutoModelForSequenceClassification

TEXT = "then in 1789 the 🙂 said: 数字, naïve tea\n\n  and the rest of it, in the end"
IDS = [0, 5, 17, 60, 101, 200, 259, 263]


def round_all(values):
    return [[float(f"{value:.7g}") for value in row] for row in values.tolist()]


def expected(folder, tokens):
    name = folder.name
    ids = torch.tensor([tokens])
    load = lambda kind: kind.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    with torch.no_grad():
        if name.endswith("-score"):
            model = load(AutoModelForSequenceClassification)
            return {"scores": round_all(torch.cat([model(ids[:, : end + 1]).logits for end in range(len(tokens))]))}
        if name.endswith(("-process", "-value")):
            state = safetensors.torch.load_file(folder / "model.safetensors")
            hidden = load(AutoModel)(ids).last_hidden_state[0]
            if name.endswith("-value"):
                return {"scores": round_all(hidden @ state["v_head.summary.weight"].T + state["v_head.summary.bias"])}
            hidden = torch.relu(hidden @ state["score.0.weight"].T + state["score.0.bias"])
            return {"scores": round_all(hidden @ state["score.2.weight"].T + state["score.2.bias"])}
        logits = load(AutoModelForCausalLM)(ids).logits[0]
        return {"logits": round_all(torch.cat([torch.logsumexp(logits.double(), -1, keepdim=True), logits[:, IDS]], 1))}


def main(directory, target):
    torch.set_num_threads(1)
    folders = sorted(pathlib.Path(directory).iterdir())
    tokens = Tokenizer.from_file(str(folders[0] / "tokenizer.json")).encode(TEXT, add_special_tokens=False).ids
    tokens = [1, *tokens, 2]
    result = {"text": TEXT, "ids": IDS, "tokens": tokens, "checkpoints": {folder.name: expected(folder, tokens) for folder in folders}}
    pathlib.Path(target).write_text(json.dumps(result) + "\n")
    print(len(tokens), "positions,", len(folders), "checkpoints")


main(*sys.argv[1:])
