"""Writes a tiny random BERT classifier as torch.onnx exports it, with its tokenizer, and what transformers computes with it: the fixture of tests/integration/onnx.test.ts.

    python scripts/expected-onnx.py tests/fixtures/tiny-bert

Needs torch, transformers, onnx and onnxscript (PyPI). The graph takes input_ids, attention_mask and token_type_ids of any batch and length and gives three logits.
"""
import json
import pathlib
import sys

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "wind", "sea", "rest", "##s", "##y", "数", "🙂", "a", ".", ","]
ITEMS = [["The winds", None], ["sea", "the rest, a windy sea."], ["", None], ["数 🙂 the", "sea"], ["the the the the the the wind rests.", None]]


def tokenizer():
    result = Tokenizer(models.WordPiece({token: index for index, token in enumerate(VOCABULARY)}, unk_token="[UNK]"))
    result.normalizer = normalizers.BertNormalizer()
    result.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    result.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    result.decoder = decoders.WordPiece()
    return PreTrainedTokenizerFast(tokenizer_object=result, unk_token="[UNK]", pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]", model_max_length=32)


def main(target):
    target = pathlib.Path(target)
    torch.manual_seed(1)
    torch.set_num_threads(1)
    config = BertConfig(vocab_size=len(VOCABULARY), hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48, max_position_embeddings=32, num_labels=3, initializer_range=0.4, attn_implementation="eager")
    model = BertForSequenceClassification(config).eval()
    tokens = tokenizer()
    tokens.save_pretrained(target)
    config.save_pretrained(target)
    example = tokens(["the wind", "sea"], ["a sea", "the"], padding=True, return_tensors="pt", return_token_type_ids=True)
    names = ["input_ids", "attention_mask", "token_type_ids"]
    axes = {name: {0: "batch", 1: "length"} for name in names} | {"logits": {0: "batch"}}
    torch.onnx.export(model, tuple(example[name] for name in names), target / "model.onnx", input_names=names, output_names=["logits"], dynamic_axes=axes, dynamo=False)
    expected = []
    with torch.no_grad():
        for text, pair in ITEMS:
            inputs = tokens(text, pair, return_tensors="pt", return_token_type_ids=True)
            expected.append({"text": text, "pair": pair, "ids": inputs["input_ids"][0].tolist(), "logits": model(**inputs).logits[0].tolist()})
    (target / "expected.json").write_text(json.dumps(expected) + "\n")


main(*sys.argv[1:])
