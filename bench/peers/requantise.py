"""Writes a GGUF file in another encoding with llama.cpp.

    python requantise.py SOURCE.gguf TARGET.gguf Q8_0|Q4_0
"""
import ctypes
import sys

import llama_cpp as llama

source, target, encoding = sys.argv[1:]
params = llama.llama_model_quantize_default_params()
params.ftype = {"Q8_0": llama.LLAMA_FTYPE_MOSTLY_Q8_0, "Q4_0": llama.LLAMA_FTYPE_MOSTLY_Q4_0}[encoding]
params.allow_requantize = True
if llama.llama_model_quantize(source.encode(), target.encode(), ctypes.byref(params)) != 0:
    raise SystemExit(f"llama.cpp cannot write {source} as {encoding}")
