"""Writes random blocks of every GGUF encoding and what the gguf package makes of them: the fixture of tests/unit/models/formats/dequantize.test.ts.

    python scripts/expected-dequantized.py tests/fixtures/dequantized.json
"""
import base64
import json
import sys

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType
from gguf.quants import dequantize

random = np.random.default_rng(1)
fixture = {}
for name in ("F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q4_K", "Q5_K", "Q6_K"):
    kind = GGMLQuantizationType[name]
    block, size = GGML_QUANT_SIZES[kind]
    count = 512 // block
    raw = random.integers(0, 256, (count, size), dtype=np.uint8)
    # Scales are half-precision numbers: keep them finite by clearing the top exponent bit of each of their high bytes.
    scales = {"F16": [1], "BF16": [], "Q4_1": [1, 3], "Q5_1": [1, 3], "Q4_K": [1, 3], "Q5_K": [1, 3], "Q6_K": [209]}.get(name, [1])
    for at in scales:
        raw[:, at] &= 0xBF
    if name == "BF16":
        raw[:, 1] &= 0xBF
    values = dequantize(raw, kind).astype("<f4").reshape(-1)
    fixture[int(kind)] = {"name": name, "blocks": base64.b64encode(raw.tobytes()).decode(), "values": base64.b64encode(values.tobytes()).decode()}
with open(sys.argv[1], "w") as file:
    json.dump(fixture, file)
