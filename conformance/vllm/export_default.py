"""Writes a GGUF file as a folder in Hugging Face's layout, float32: python export_default.py FILE FOLDER"""

import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

source, folder = Path(sys.argv[1]), sys.argv[2]
where = {"pretrained_model_name_or_path": source.parent, "gguf_file": source.name}
model = AutoModelForCausalLM.from_pretrained(
    **where, dtype=torch.float32, quantization_config=GgufConfig(dequantize=True)
)
# It is no longer quantized, and save_pretrained would refuse.
for owner, name in ((model.config, "quantization_config"), (model, "hf_quantizer")):
    if hasattr(owner, name):
        delattr(owner, name)
model.save_pretrained(folder)
AutoTokenizer.from_pretrained(**where).save_pretrained(folder)
