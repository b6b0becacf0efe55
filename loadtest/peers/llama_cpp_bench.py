"""Decode tokens/s of llama.cpp for B sequences that share a prompt: the peer of `fairlead bench`.

    python loadtest/peers/llama_cpp_bench.py MODEL.gguf [--threads 2] [--context 128] [--batch 1,8,32] [--steps 32] [--repeat 3]

Needs llama-cpp-python (PyPI). Runs the file as it is and requantised to Q4_0 and Q8_0 (allow_requantize), forward passes only: no
sampling, no detokenising; the logits of every row are asked for. The sequences share the prompt's KV cells (seq_cp) and then grow
apart, which is the best case for it. Prints a line per measurement and JSON at the end.
"""
import argparse
import ctypes
import json
import os
import statistics
import tempfile
import time

import llama_cpp as llama


def requantise(source, target, ftype, threads):
    params = llama.llama_model_quantize_default_params()
    params.nthread, params.ftype, params.allow_requantize = threads, ftype, True
    if llama.llama_model_quantize(source.encode(), target.encode(), ctypes.byref(params)) != 0:
        raise RuntimeError(f"cannot requantise to {target}")


def copy_sequence(context, target):
    if hasattr(llama, "llama_memory_seq_cp"):
        llama.llama_memory_seq_cp(llama.llama_get_memory(context), 0, target, -1, -1)
    else:
        llama.llama_kv_self_seq_cp(context, 0, target, -1, -1)


def clear(context):
    if hasattr(llama, "llama_memory_clear"):
        llama.llama_memory_clear(llama.llama_get_memory(context), True)
    else:
        llama.llama_kv_self_clear(context)


def decode(context, rows):
    """rows: (token, position, sequence, wants logits)"""
    batch = llama.llama_batch_init(len(rows), 0, 1)
    batch.n_tokens = len(rows)
    for i, (token, position, sequence, logits) in enumerate(rows):
        batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.logits[i] = token, position, 1, logits
        batch.seq_id[i][0] = sequence
    status = llama.llama_decode(context, batch)
    llama.llama_batch_free(batch)
    if status != 0:
        raise RuntimeError(f"llama_decode gave {status}")


def measure(model, batch, length, steps, threads):
    params = llama.llama_context_default_params()
    params.n_ctx = length + batch * (steps + 8) + 64
    params.n_batch = params.n_ubatch = 512
    params.n_seq_max = batch
    params.n_threads = params.n_threads_batch = threads
    if hasattr(params, "kv_unified"):
        params.kv_unified = True
    context = llama.llama_init_from_model(model, params)
    clear(context)
    decode(context, [(100 + i, i, 0, i == length - 1) for i in range(length)])
    for sequence in range(1, batch):
        copy_sequence(context, sequence)
    step = lambda position: decode(context, [(300 + s, position, s, True) for s in range(batch)])
    for warm in range(2):
        step(length + warm)
    started = time.perf_counter()
    for i in range(steps):
        step(length + 2 + i)
    seconds = time.perf_counter() - started
    llama.llama_free(context)
    return batch * steps / seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--context", type=int, default=128)
    parser.add_argument("--batch", default="1,8,32")
    parser.add_argument("--steps", type=int, default=32)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    silent = llama.llama_log_callback(lambda level, text, data: None)
    llama.llama_log_set(silent, None)
    llama.llama_backend_init()
    results = []
    with tempfile.TemporaryDirectory() as directory:
        files = {"as shipped": options.model}
        for name, ftype in (("Q4_0", llama.LLAMA_FTYPE_MOSTLY_Q4_0), ("Q8_0", llama.LLAMA_FTYPE_MOSTLY_Q8_0)):
            files[name] = os.path.join(directory, f"{name}.gguf")
            requantise(options.model, files[name], ftype, options.threads)
        for name, path in files.items():
            model = llama.llama_model_load_from_file(path.encode(), llama.llama_model_default_params())
            for batch in map(int, options.batch.split(",")):
                rates = [measure(model, batch, options.context, options.steps, options.threads) for _ in range(options.repeat)]
                results.append({"weights": name, "batch": batch, "tokens_per_second": statistics.median(rates), "least": min(rates), "most": max(rates)})
                print(f"{name:12} B={batch:<3} {statistics.median(rates):7.0f} tokens/s  ({min(rates):.0f}–{max(rates):.0f})", flush=True)
            llama.llama_model_free(model)
    print(json.dumps({"version": llama.__version__, "context": options.context, "load_average": os.getloadavg()[0], "results": results}))


if __name__ == "__main__":
    main()
