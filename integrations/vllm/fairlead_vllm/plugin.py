"""What vLLM calls in each of its processes: puts the models with heads in the place of its own."""

import logging
import os

from fairlead_vllm.heads import VARIABLE, find_heads

logger = logging.getLogger("vllm.fairlead")

#: Architectures that can have heads.
ARCHITECTURES = {
    "LlamaForCausalLM": "fairlead_vllm.models:FairleadLlama",
    "Qwen2ForCausalLM": "fairlead_vllm.models:FairleadQwen2",
    "Qwen3ForCausalLM": "fairlead_vllm.models:FairleadQwen3",
}


def register() -> None:
    """Entry point of ``vllm.general_plugins``; does nothing where the environment names no rewards."""
    if VARIABLE not in os.environ:
        return
    from vllm import ModelRegistry

    heads, others = find_heads(os.environ[VARIABLE])
    if not heads:
        raise ValueError(f"{VARIABLE} names no reward of the kind head: {os.environ[VARIABLE]}")
    logger.info("fairlead: heads %s", ", ".join(head.name for head in heads))
    if others:
        logger.warning("fairlead: rewards of other kinds are not for an engine: %s", ", ".join(others))
    for architecture, path in ARCHITECTURES.items():
        ModelRegistry.register_model(architecture, path)
