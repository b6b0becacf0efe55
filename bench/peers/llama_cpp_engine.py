"""llama.cpp as one of the engines measured, through llama-cpp-python's low-level API.

    python llama_cpp_engine.py MODEL.gguf THREADS

The candidates share the prompt's cells (seq_cp), and tokens are drawn by llama.cpp's own sampler chain. Which layout of the KV cache and which
attention is fastest depends on candidates and prompt: each task is first begun with every one, untimed, and measured with the fastest.
"""
import contextlib
import ctypes
import itertools
import sys
import time

import llama_cpp as llama

from answering import answer_tasks, measured

RANDOM_SEED = 0xFFFFFFFF
CELLS_MULTIPLE = 256
# So many tokens of each candidate tell which configuration is fastest.
TRIED_TOKENS = 32


def sampler_chain():
    """Draws from the whole distribution at temperature 1."""
    chain = llama.llama_sampler_chain_init(llama.llama_sampler_chain_default_params())
    llama.llama_sampler_chain_add(chain, llama.llama_sampler_init_temp(1.0))
    llama.llama_sampler_chain_add(chain, llama.llama_sampler_init_dist(RANDOM_SEED))
    return chain


class Session:
    """A context for so many candidates of so many tokens, prompt included, in one configuration."""

    def __init__(self, model, threads, candidates, prompt_tokens, new_tokens, unified, flash):
        params = llama.llama_context_default_params()
        # In a unified cache the prompt's cells count once, else every sequence has room for all.
        cells = prompt_tokens + candidates * new_tokens if unified else prompt_tokens + new_tokens
        params.n_ctx = -(-cells // CELLS_MULTIPLE) * CELLS_MULTIPLE * (1 if unified else candidates)
        params.n_batch = max(prompt_tokens, candidates)
        params.n_seq_max = candidates
        params.n_threads = params.n_threads_batch = threads
        params.kv_unified = unified
        params.flash_attn_type = llama.LLAMA_FLASH_ATTN_TYPE_ENABLED if flash else llama.LLAMA_FLASH_ATTN_TYPE_DISABLED
        self.context = llama.llama_init_from_model(model, params)
        if not self.context:
            raise RuntimeError("llama.cpp cannot make a context of this size")
        self.memory = llama.llama_get_memory(self.context)
        self.batch = llama.llama_batch_init(params.n_batch, 0, 1)
        self.samplers = [sampler_chain() for _ in range(candidates)]

    def close(self):
        for sampler in self.samplers:
            llama.llama_sampler_free(sampler)
        llama.llama_batch_free(self.batch)
        llama.llama_free(self.context)

    def decode(self, rows):
        """rows: (token, position, sequence, whether its logits are wanted)."""
        batch = self.batch
        batch.n_tokens = len(rows)
        for i, (token, position, sequence, wanted) in enumerate(rows):
            batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.logits[i] = token, position, 1, wanted
            batch.seq_id[i][0] = sequence
        status = llama.llama_decode(self.context, batch)
        if status != 0:
            raise RuntimeError(f"llama_decode gave {status}")

    def run(self, prompt, new_tokens):
        # Clearing the data too touches the memory before the clock runs.
        llama.llama_memory_clear(self.memory, True)
        last = len(prompt) - 1
        started = time.perf_counter()
        self.decode([(token, position, 0, position == last) for position, token in enumerate(prompt)])
        for sequence in range(1, len(self.samplers)):
            llama.llama_memory_seq_cp(self.memory, 0, sequence, -1, -1)
        drawn = [[llama.llama_sampler_sample(sampler, self.context, last)] for sampler in self.samplers]
        first = time.perf_counter()
        for position in range(len(prompt), last + new_tokens):
            self.decode([(tokens[-1], position, sequence, True) for sequence, tokens in enumerate(drawn)])
            for sequence, sampler in enumerate(self.samplers):
                drawn[sequence].append(llama.llama_sampler_sample(sampler, self.context, sequence))
        ended = time.perf_counter()
        # The token drawn last is not fed.
        held = min(llama.llama_memory_seq_pos_max(self.memory, sequence) for sequence in range(len(self.samplers))) + 1
        return measured(started, first, ended, held - (new_tokens - 1), drawn)


def main():
    path, threads = sys.argv[1], int(sys.argv[2])
    silent = llama.llama_log_callback(lambda level, text, data: None)
    llama.llama_log_set(silent, None)
    llama.llama_backend_init()
    model = llama.llama_model_load_from_file(path.encode(), llama.llama_model_default_params())
    if not model:
        raise SystemExit(f"llama.cpp cannot load {path}")
    fastest = {}

    @contextlib.contextmanager
    def opened(shape, unified, flash):
        session = Session(model, threads, *shape, unified, flash)
        try:
            yield session.run
        finally:
            session.close()

    def duration(shape, configuration, prompt):
        """What the task would take, from its beginning."""
        new_tokens = shape[2]
        with opened(shape, *configuration) as run:
            tried = run(prompt, min(new_tokens, TRIED_TOKENS))
        decoding = (tried["totalMs"] - tried["firstMs"]) / max(len(tried["drawn"][0]) - 1, 1)
        return tried["firstMs"] + decoding * (new_tokens - 1)

    def open_run(task):
        shape = task["candidates"], len(task["prompt"]), task["newTokens"]
        if shape not in fastest:
            # With one sequence both layouts are the same.
            layouts = (True, False) if task["candidates"] > 1 else (True,)
            fastest[shape] = min(itertools.product(layouts, (True, False)), key=lambda one: duration(shape, one, task["warmUpPrompt"]))
            print(shape, "unified, flash attention:", fastest[shape], file=sys.stderr)
        return opened(shape, *fastest[shape])

    answer_tasks({"version": llama.__version__, "configuration": "prompt shared by seq_cp, own sampler chain; KV layout and attention as they are fastest for each scenario"}, open_run)


if __name__ == "__main__":
    main()
