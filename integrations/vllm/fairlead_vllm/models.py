"""vLLM's models with heads: subclasses whose rows carry what the heads make of the hidden states to the logits."""

import torch
from vllm.config import VllmConfig
from vllm.model_executor.models.llama import LlamaForCausalLM
from vllm.model_executor.models.qwen2 import Qwen2ForCausalLM
from vllm.model_executor.models.qwen3 import Qwen3ForCausalLM
from vllm.sequence import IntermediateTensors

from fairlead_vllm import channels, heads
from fairlead_vllm.tap import Tap, install, join, split


def special_tokens(config) -> set[int]:
    """Tokens of a configuration that end, begin or pad."""
    found = set()
    for name in ("bos_token_id", "eos_token_id", "pad_token_id"):
        value = getattr(config, name, None)
        found.update(value if isinstance(value, list) else [] if value is None else [value])
    return found


def channels_for(config, count: int) -> channels.Channels:
    """The channels of a model with so many heads."""
    return channels.choose(config.vocab_size, count, special_tokens(config))


class _WithHeads:
    """Mixed in before a model whose inner model can hand out states of its layers (SupportsEagle3)."""

    def __init__(self, *, vllm_config: VllmConfig, prefix: str = ""):
        if vllm_config.speculative_config is not None:
            raise ValueError("fairlead: heads and speculative decoding exclude each other; turn one of them off")
        super().__init__(vllm_config=vllm_config, prefix=prefix)
        read = heads.configured()
        heads.check_model(read, self.config.hidden_size, self.config.num_hidden_layers)
        self.fairlead = install(Tap(read, channels_for(self.config, len(read))))
        # The last layer's state is the one after the final norm, as in transformers: what the model returns anyway.
        self._inner = [layer for layer in self.fairlead.layers if layer < self.config.num_hidden_layers]
        if self._inner:
            self.set_aux_hidden_state_layers(tuple(self._inner))

    def forward(self, *args, **kwargs):
        """Hidden states [tokens, D + numbers]: the model's, and beside them the heads' numbers."""
        output = super().forward(*args, **kwargs)
        if isinstance(output, IntermediateTensors):
            return output
        hidden, inner = output if self._inner else (output, [])
        states = {self.config.num_hidden_layers: hidden, **dict(zip(self._inner, inner, strict=True))}
        return torch.cat((hidden, split(self.fairlead.project(states), hidden.dtype)), -1)

    def compute_logits(self, hidden_states: torch.Tensor) -> torch.Tensor | None:
        """Logits [rows, vocabulary] with the heads' values in the channels' places."""
        hidden, columns = hidden_states.tensor_split([self.config.hidden_size], -1)
        logits = super().compute_logits(hidden.contiguous())
        tap = self.fairlead
        if tap.token_factors is None:
            # Here, since vLLM measures its memory with it, on all ranks at once.
            tap.learn_tokens(self.embed_input_ids, self.config.vocab_size)
        return None if logits is None else tap.leave(logits, join(columns))


class FairleadLlama(_WithHeads, LlamaForCausalLM):
    """LlamaForCausalLM with heads."""


class FairleadQwen2(_WithHeads, Qwen2ForCausalLM):
    """Qwen2ForCausalLM with heads."""


class FairleadQwen3(_WithHeads, Qwen3ForCausalLM):
    """Qwen3ForCausalLM with heads."""
