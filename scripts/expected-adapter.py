"""Writes what peft computes with adapters: the fixtures of tests/integration/adapter.test.ts and, for the reward model in the box, of tests/e2e/reader.test.ts.

    npm run build && node dist/tests/helpers/tiny-checkpoint.js DIR
    python scripts/expected-adapter.py tiny DIR/llama tests/fixtures/tiny-adapter
    node dist/tests/helpers/tiny-adapters.js DIR2 && python scripts/expected-adapter.py tied DIR2 tests/fixtures/expected-adapters.json
    python scripts/expected-adapter.py box MODEL.gguf models/rewards/positive_reader tests/fixtures/expected-reader.json

Needs torch, transformers, peft, gguf and accelerate (PyPI). The tiny adapter is random, for the first layer of a tiny random checkpoint, with a score head of two labels and ranks and
scales that differ between modules; fixture and adapter are written together. `tied` are language models with adapters of their embedding and head, and the logits of eight fixed ids
after every fifth position. All in float32 with eager attention; scores are those after every position.
"""
import json
import os
import pathlib
import sys

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForSequenceClassification

TEXT = "then in 1789 the 🙂 said: 数字, naïve tea\n\n  and the rest of it, in the end"
IDS = [0, 5, 17, 60, 101, 200, 259, 263]
ANSWERS = [
    "A quiet, moving film: every scene earns its place, and the last one stayed with me for days.",
    "Two hours of noise. The jokes are old, the plot is older, and nobody on screen seems to care.",
    "It isn't good, but I didn't mind it … 😐 数字 naïve café.",
]


def scores_of(model, tokens):
    with torch.no_grad():
        scores = torch.cat([model(torch.tensor([tokens[: end + 1]])).logits for end in range(len(tokens))])
    return [[float(f"{value:.7g}") for value in row] for row in scores.tolist()]


def tiny(base, out):
    torch.manual_seed(1)
    model = LlamaForSequenceClassification.from_pretrained(base, num_labels=2, num_hidden_layers=1, dtype=torch.float32, attn_implementation="eager")
    modules = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    adapted = get_peft_model(model, LoraConfig(
        task_type="SEQ_CLS", r=4, lora_alpha=6, use_rslora=True, rank_pattern={"q_proj": 2}, alpha_pattern={"layers.0.mlp.down_proj": 3}, target_modules=modules, modules_to_save=["score"]))
    for name, parameter in adapted.named_parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter, std=0.3)
    adapted.peft_config["default"].base_model_name_or_path = "tiny"
    folder = pathlib.Path(out)
    adapted.save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)
    tokens = [1, *Tokenizer.from_file(str(pathlib.Path(base) / "tokenizer.json")).encode(TEXT, add_special_tokens=False).ids, 2]
    (folder / "expected.json").write_text(json.dumps({"tokens": tokens, "scores": scores_of(adapted.eval(), tokens)}) + "\n")
    print(len(tokens), "positions")


def tied(folder, target):
    folder = pathlib.Path(folder)
    tokens = [1, *Tokenizer.from_file(str(folder / "tied" / "tokenizer.json")).encode(TEXT, add_special_tokens=False).ids, 2]
    logits = {}
    for base in ("tied", "untied"):
        for adapter in sorted((folder / "adapters").iterdir()):
            model = AutoModelForCausalLM.from_pretrained(folder / base, dtype=torch.float32, attn_implementation="eager")
            with torch.no_grad():
                rows = PeftModel.from_pretrained(model, adapter).eval()(torch.tensor([tokens])).logits[0][::5, IDS]
            logits[f"{base} {adapter.name}"] = [[float(f"{value:.7g}") for value in row] for row in rows.tolist()]
    pathlib.Path(target).write_text(json.dumps({"ids": IDS, "tokens": tokens, "logits": logits}) + "\n")
    print(len(logits), "models")


def box(path, adapter, target):
    folder, name = os.path.split(path)
    layers = json.loads(pathlib.Path(f"{adapter}.json").read_text())["layers"]
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=name)
    model = LlamaForSequenceClassification.from_pretrained(folder, gguf_file=name, num_labels=1, num_hidden_layers=layers, dtype=torch.float32, attn_implementation="eager")
    # The token that ends a turn is also the file's padding, whose score transformers would not give.
    model.config.pad_token_id = None
    model = PeftModel.from_pretrained(model, adapter).float().eval()
    cases = []
    for text in ANSWERS:
        tokens = tokenizer.encode(f"<|im_start|>assistant\n{text}<|im_end|>", add_special_tokens=False)
        cases.append({"text": text, "tokens": tokens, "scores": [score for score, in scores_of(model, tokens)]})
    pathlib.Path(target).write_text(json.dumps(cases, ensure_ascii=False) + "\n")
    print(sum(len(case["tokens"]) for case in cases), "positions")


{"tiny": tiny, "tied": tied, "box": box}[sys.argv[1]](*sys.argv[2:])
