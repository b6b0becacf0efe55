"""Writes what transformers computes for the default model's weights: the fixture of tests/e2e/logits.test.ts.

    python scripts/expected-logits.py MODEL.gguf tests/fixtures/expected-logits.json.gz

Needs torch, transformers, gguf, numpy and, for its tokenizer, llama-cpp-python (PyPI). The GGUF file's tensors are dequantised by the gguf package and put into a
LlamaForCausalLM in float32 with eager attention; GGUF's q and k rows are put back into transformers' rotary order. For every position of four
chats the fixture holds the token, the log-normaliser and the logits of 256 fixed ids; for a few positions also values of some hidden states, the largest among them.
"""
import base64
import gzip
import json
import sys

import gguf
import numpy as np
import torch
from gguf.quants import dequantize
from transformers import LlamaConfig, LlamaForCausalLM

SYSTEM = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"
CHATS = [
    ("What makes the sea look blue?", "Water absorbs red light a little more than blue light. In a glass nobody notices, but over many metres the red part of sunlight is used up, and what is scattered back to our eyes is mostly blue. Clouds, sand and tiny plants change the colour: a shallow bay looks green, a river mouth brown."),
    ("Write a short review of a film about a lighthouse keeper.", "The Last Lamp is slow, and it knows it. For ninety minutes we watch one man polish glass, count ships and argue with gulls; when the storm finally comes, we have learnt to be as afraid for the light as he is. The ending left me cold, but I have not stopped thinking about the sound of that foghorn."),
    ("Give me a recipe for 3 pancakes.", "1. Mix 100 g of flour, 1 egg, 150 ml of milk and a pinch of salt.\n2. Let it rest for 10 minutes.\n3. Fry a third of it in butter, 1-2 minutes a side.\n\nServe with lemon and sugar. If the batter is too thick, add milk by the spoon."),
    ("def add(a, b): what is missing?", "A body. For example:\n\n```python\ndef add(a, b):\n    return a + b\n```\n\nWithout an indented block after the colon Python raises `IndentationError: expected an indented block`."),
]


def unpermute(weights, heads):
    rows, columns = weights.shape
    return weights.reshape(heads, rows // heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns)


def load(path):
    reader = gguf.GGUFReader(path)
    field = lambda name: reader.fields[name].contents()
    config = LlamaConfig(
        vocab_size=len(field("tokenizer.ggml.tokens")), hidden_size=field("llama.embedding_length"), intermediate_size=field("llama.feed_forward_length"),
        num_hidden_layers=field("llama.block_count"), num_attention_heads=field("llama.attention.head_count"), num_key_value_heads=field("llama.attention.head_count_kv"),
        rms_norm_eps=field("llama.attention.layer_norm_rms_epsilon"), rope_theta=field("llama.rope.freq_base"), rope_parameters={"rope_type": "default", "rope_theta": field("llama.rope.freq_base")},
        max_position_embeddings=field("llama.context_length"), tie_word_embeddings=True, attn_implementation="eager",
    )
    model = LlamaForCausalLM(config).to(torch.float32).eval()
    names = {"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
             "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj"}
    state = {}
    for tensor in reader.tensors:
        weights = dequantize(tensor.data, tensor.tensor_type).astype(np.float32).reshape(tuple(reversed(tensor.shape.tolist())))
        if tensor.name.startswith("blk."):
            _, layer, kind, _ = tensor.name.split(".")
            if kind in ("attn_q", "attn_k"):
                weights = unpermute(weights, config.num_attention_heads if kind == "attn_q" else config.num_key_value_heads)
            name = f"model.layers.{layer}.{names[kind]}.weight"
        else:
            name = {"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight"}[tensor.name]
        state[name] = torch.from_numpy(np.ascontiguousarray(weights))
    state["lm_head.weight"] = state["model.embed_tokens.weight"]
    model.load_state_dict(state, strict=True)
    return model


def pack(values):
    return base64.b64encode(np.asarray(values, dtype="<f4").tobytes()).decode()


def hidden_values(state, position):
    dims = sorted(set(range(8)) | set(torch.topk(state.abs(), 8).indices.tolist()))
    return {"position": position, "dims": dims, "values": pack(state[dims])}


def main(path, target):
    import llama_cpp
    tokenizer = llama_cpp.Llama(path, vocab_only=True, verbose=False)
    torch.set_num_threads(2)
    model = load(path)
    ids = sorted(np.random.default_rng(1).choice(model.config.vocab_size, 256, replace=False).tolist())
    chats = []
    for question, answer in CHATS:
        text = f"<|im_start|>system\n{SYSTEM}<|im_end|>\n<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n{answer}<|im_end|>\n"
        tokens = tokenizer.tokenize(text.encode(), add_bos=False, special=True)
        with torch.no_grad():
            output = model(torch.tensor([tokens]), output_hidden_states=True)
        logits = output.logits[0]
        hidden = {str(layer): [hidden_values(output.hidden_states[layer][0, p], p) for p in (0, 7, len(tokens) - 1)] for layer in (0, 10, 20, 30)}
        chats.append({"tokens": tokens, "logNormalizers": pack(torch.logsumexp(logits.double(), -1)), "logits": pack(logits[:, ids]), "hidden": hidden})
    with gzip.GzipFile(target, "wb", mtime=0) as file:
        file.write(json.dumps({"ids": ids, "chats": chats}).encode())
    print(sum(len(chat["tokens"]) for chat in chats), "positions")


main(*sys.argv[1:])
