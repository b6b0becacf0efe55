"""Trains a small reward model: the first layers of a base model with a score head, low-rank fine-tuned, saved as peft saves adapters.

    node dist/studies/rewards/train.js reader_texts --data DIR --out tone.json
    python studies/rewards/train-reader.py tone.json models/rewards/positive_reader
    node dist/studies/rewards/train.js positive_reader --data DIR --texts tone.texts.json

Needs torch, transformers, peft, gguf and accelerate (PyPI). One thread, and about three minutes of it. The lowest layers stay as they are, and what they compute is kept, so that
an epoch costs only the layers above. Every position learns to foretell the label, later ones with more weight (RAD; Deng and Raffel 2023), and the end of the turn as much as
all of them together: one model serves whole answers and prefixes. Matrix products are in bfloat16. The epoch that is best on the texts kept back is saved.
"""
import argparse
import json
import os
import pathlib
import random
import shutil
import time

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy
from transformers import LlamaForSequenceClassification

BASE = "HuggingFaceTB/SmolLM2-135M-Instruct"  # Whose weights the GGUF file holds, rounded to 4 bits.
HEADER = 3  # Tokens of the template before the answer: no prefix to learn from.


def options():
    parser = argparse.ArgumentParser()
    parser.add_argument("data")
    parser.add_argument("out")
    parser.add_argument("--layers", type=int, default=15)
    parser.add_argument("--frozen", type=int, default=11)
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rate", type=float, default=5e-4)
    parser.add_argument("--texts", type=int, default=3500, help="how many to train on; 0: all")
    return parser.parse_args()


def load(path, arguments):
    model = LlamaForSequenceClassification.from_pretrained(
        os.path.dirname(path), gguf_file=os.path.basename(path), num_labels=1, num_hidden_layers=arguments.layers, dtype=torch.float32)
    torch.nn.init.zeros_(model.score.weight)
    modules = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    adapted = get_peft_model(model, LoraConfig(
        task_type="SEQ_CLS", r=arguments.rank, lora_alpha=2 * arguments.rank, target_modules=modules,
        layers_to_transform=list(range(arguments.frozen, arguments.layers)), modules_to_save=["score"]))
    for name, parameter in adapted.named_parameters():
        if not parameter.requires_grad and parameter.dim() == 2:
            parameter.data = parameter.data.bfloat16()
    return adapted


class Reader:
    """The model, run in two parts: layers that stay as they are, and those that learn."""

    def __init__(self, adapted, frozen):
        self.classifier = adapted.base_model.model
        self.decoder = self.classifier.model
        self.frozen = frozen

    def run(self, states, layers):
        positions = torch.arange(states.shape[1]).unsqueeze(0)
        rotary = self.decoder.rotary_emb(states, positions)
        for layer in layers:
            states = layer(states, attention_mask=None, position_embeddings=rotary, position_ids=positions)
        return states

    def below(self, tokens):
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            return self.run(self.decoder.embed_tokens(tokens).float(), self.decoder.layers[:self.frozen])

    def scores(self, states):
        """Of every position, [texts, positions]."""
        with torch.autocast("cpu", torch.bfloat16):
            states = self.run(states, self.decoder.layers[self.frozen:])
        return self.classifier.score(self.decoder.norm(states.float())).squeeze(-1)


def batches(texts, size):
    order = sorted(range(len(texts)), key=lambda index: len(texts[index]["tokens"]) + random.random())
    groups = [order[start:start + size] for start in range(0, len(order), size)]
    random.shuffle(groups)
    return groups


def padded(rows):
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)


def keep_states(reader, texts):
    for group in batches(texts, 64):
        states = reader.below(padded([torch.tensor(texts[index]["tokens"]) for index in group]))
        for row, index in zip(states, group):
            texts[index]["states"] = row[:len(texts[index]["tokens"])].bfloat16().clone()


def scored(reader, texts, group):
    """Scores, labels and, of each position, its weight among the prefixes of its text; the last position of each text is its end."""
    scores = reader.scores(padded([texts[index]["states"].float() for index in group]))
    lengths = torch.tensor([len(texts[index]["tokens"]) for index in group])
    labels = torch.tensor([float(texts[index]["label"]) for index in group])
    steps = torch.arange(scores.shape[1]).unsqueeze(0) - HEADER + 1
    weights = torch.where((steps > 0) & (steps < lengths.unsqueeze(1) - HEADER), steps, 0).float()
    return scores, labels, weights / weights.sum(1, keepdim=True).clamp(min=1), lengths - 1


def start_head(reader, texts):
    """Logistic regression on what the base model computes, at the end and half way of some texts: training begins where a linear head would stand."""
    states, labels = [], []
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        for group in batches(texts, 64):
            rows = reader.decoder.norm(reader.run(padded([texts[index]["states"].float() for index in group]), reader.decoder.layers[reader.frozen:]).float())
            for row, index in zip(rows, group):
                length = len(texts[index]["tokens"])
                states += [row[length - 1], row[(length + HEADER) // 2]]
                labels += 2 * [float(texts[index]["label"])]
    states, labels = torch.stack(states), torch.tensor(labels)
    scale = states.std(0)
    weights = torch.zeros(states.shape[1], requires_grad=True)
    optimizer = torch.optim.LBFGS([weights], max_iter=100, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = cross_entropy((states / scale) @ weights, labels) + 0.01 * weights.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    with torch.no_grad():
        for name, parameter in reader.classifier.score.named_parameters():
            if parameter.requires_grad:
                parameter.copy_((weights / scale).unsqueeze(0))


def loss_of(scores, labels, weights, ends):
    whole = cross_entropy(scores.gather(1, ends.unsqueeze(1)).squeeze(1), labels)
    prefixes = cross_entropy(scores, labels.unsqueeze(1).expand_as(scores), reduction="none")
    return whole, (weights * prefixes).sum() / len(labels)


def measure(reader, texts):
    reader.classifier.eval()
    right, total = 0, 0.0
    with torch.no_grad():
        for group in batches(texts, 64):
            scores, labels, weights, ends = scored(reader, texts, group)
            right += ((scores.gather(1, ends.unsqueeze(1)).squeeze(1) > 0) == (labels > 0)).sum().item()
            total += loss_of(scores, labels, weights, ends)[0].item() * len(group)
    reader.classifier.train()
    return right / len(texts), total / len(texts)


def main():
    arguments = options()
    torch.set_num_threads(1)
    torch.manual_seed(1)
    random.seed(1)
    data = json.loads(pathlib.Path(arguments.data).read_text())
    train, kept_back = data["train"], data["keptBack"]
    chosen = random.sample(range(len(train)), arguments.texts or len(train))
    pathlib.Path(arguments.data).with_suffix(".texts.json").write_text(json.dumps(chosen))
    train = [train[index] for index in chosen]
    adapted = load(data["base"], arguments)
    adapted.print_trainable_parameters()
    reader = Reader(adapted, arguments.frozen)
    started = time.time()
    keep_states(reader, train)
    keep_states(reader, kept_back)
    print(f"{time.time() - started:.0f} s: kept what the first {arguments.frozen} layers compute", flush=True)

    start_head(reader, train[:1500])
    print(f"{time.time() - started:.0f} s: as a linear head, on texts kept back accuracy and loss {measure(reader, kept_back)}", flush=True)

    head = [parameter for name, parameter in adapted.named_parameters() if parameter.requires_grad and "score" in name]
    low_rank = [parameter for name, parameter in adapted.named_parameters() if parameter.requires_grad and "score" not in name]
    optimizer = torch.optim.AdamW([{"params": low_rank, "lr": arguments.rate}, {"params": head, "lr": arguments.rate}], weight_decay=0.01)
    steps = arguments.epochs * len(batches(train, arguments.batch))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, arguments.rate, total_steps=steps, pct_start=0.1)
    best, step, recent = float("inf"), 0, []
    adapted.train()
    for epoch in range(arguments.epochs):
        for group in batches(train, arguments.batch):
            whole, prefixes = loss_of(*scored(reader, train, group))
            optimizer.zero_grad()
            (whole + prefixes).backward()
            torch.nn.utils.clip_grad_norm_(low_rank + head, 1.0)
            optimizer.step()
            schedule.step()
            step += 1
            recent.append((whole.item(), prefixes.item()))
            if step % 10 == 0:
                print(f"{time.time() - started:.0f} s: step {step}/{steps}, loss {sum(a for a, _ in recent) / len(recent):.3f} whole, {sum(b for _, b in recent) / len(recent):.3f} prefixes", flush=True)
                recent.clear()
        accuracy, loss = measure(reader, kept_back)
        print(f"{time.time() - started:.0f} s: epoch {epoch + 1}: on texts kept back accuracy {accuracy:.4f}, loss {loss:.4f}", flush=True)
        if loss < best:
            best = loss
            save(adapted, pathlib.Path(arguments.out))


def save(adapted, out):
    """What the product reads and no more, the numbers in half precision."""
    adapted.peft_config["default"].base_model_name_or_path = BASE
    partial = out.with_name(f"{out.name}.partial")
    adapted.save_pretrained(partial)
    tensors = load_file(partial / "adapter_model.safetensors")
    out.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.half().contiguous() for name, tensor in tensors.items()}, out / "adapter_model.safetensors", metadata={"format": "pt"})
    shutil.move(partial / "adapter_config.json", out / "adapter_config.json")
    shutil.rmtree(partial)


main()
