"""The plugin's logits processor, for both of vLLM's model runners.

V1 (CPUs) numbers requests by their row in the batch and tells what moved; V2 (GPUs) gives each a slot and maps rows to
slots each step. One class has both interfaces, since an entry point names one class and the runner is known later.
"""

from vllm.sampling_params import SamplingParams
from vllm.v1.sample.logits_processor.builtin import process_dict_updates
from vllm.v1.sample.logits_processor.interface import LogitsProcessor as V1Processor
from vllm.v1.worker.gpu.sample.logits_processor.interface import LogitsProcessor as V2Processor

from fairlead_vllm.arguments import parse
from fairlead_vllm.guidance import Answer, begin, guide
from fairlead_vllm.heads import configured
from fairlead_vllm.plugin import ARCHITECTURES
from fairlead_vllm.tap import installed


def check_architecture(names: list[str]) -> None:
    """Raises ValueError where heads are configured and the model can have none."""
    if configured() and not set(names) & set(ARCHITECTURES):
        raise ValueError(f"fairlead: heads are for {', '.join(ARCHITECTURES)}; the model is {', '.join(names)}")


class FairleadProcessor(V1Processor, V2Processor):
    """Puts back the logits of the channels' tokens, and guides the requests that ask for it."""

    def __init__(self, vllm_config, *runner):
        check_architecture(vllm_config.model_config.architectures)
        # V2 hands its requests' states; V1 a device and whether memory is pinned.
        self._states = runner[0] if len(runner) == 1 else None
        #: By row (V1, with the list of tokens drawn) or by slot (V2).
        self._answers: dict[int, tuple[Answer, list[int] | None]] = {}

    @classmethod
    def validate_params(cls, sampling_params: SamplingParams) -> None:
        """Refuses what a request must not say, in the API's process."""
        parse(sampling_params.extra_args, configured())

    def is_argmax_invariant(self) -> bool:
        """Guidance changes the most probable token."""
        return False

    def _new(self, params: SamplingParams) -> Answer | None:
        guidance = parse(params.extra_args, configured())
        tap = installed()
        if guidance is None or tap is None:
            return None
        # vLLM counts the model's own end tokens among all, those too that end nothing with ignore_eos.
        ends = (params.stop_token_ids or ()) if params.ignore_eos else params.all_stop_token_ids
        return begin(guidance, ends, params.temperature, tap)

    def update_state(self, batch_update) -> None:
        """V1: requests that came, went and moved."""
        def new_state(params, _prompt, drawn):
            answer = self._new(params)
            return None if answer is None else (answer, drawn)

        process_dict_updates(self._answers, batch_update, new_state)

    def add_request(self, req_idx: int, sampling_params: SamplingParams) -> bool:
        """V2: a request in a slot. All are processed where there are heads, since all rows lend places."""
        answer = self._new(sampling_params)
        if answer is None:
            self._answers.pop(req_idx, None)
        else:
            self._answers[req_idx] = (answer, None)
        return installed() is not None

    def _guided(self, context) -> list[tuple[int, Answer, int]]:
        """Rows under guidance, their requests, and how many tokens these have drawn."""
        if context is None:
            return [(row, answer, len(drawn)) for row, (answer, drawn) in sorted(self._answers.items())]
        prompts = self._states.prompt_len.np
        found = []
        for row, slot in enumerate(context.idx_mapping_np.tolist()):
            if slot in self._answers:
                drawn = int(context.seq_lens_upper_bound_np[row]) - int(prompts[slot])
                found.append((row, self._answers[slot][0], drawn))
        return found

    def apply(self, logits, context=None):
        """Logits [rows, vocabulary], changed in place. @context: V2's"""
        tap = installed()
        if tap is None:
            return logits
        rows = tap.restore(logits)
        guided = self._guided(context)
        if guided:
            guide(logits, rows, guided, tap)
        return logits
