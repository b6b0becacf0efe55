"""The logits processor as both of vLLM's model runners call it, without an engine. Needs vLLM installed."""

import json
import os
import tempfile
import unittest
from pathlib import Path
from types import SimpleNamespace

import torch
from vllm.sampling_params import SamplingParams
from vllm.v1.sample.logits_processor.interface import BatchUpdate, MoveDirectionality

from fairlead_vllm import channels, heads, tap
from fairlead_vllm.processor import FairleadProcessor
from test_plugin import VOCABULARY, WIDTH, descriptor

CONFIG = SimpleNamespace(model_config=SimpleNamespace(architectures=["LlamaForCausalLM"]))


def params(**arguments) -> SamplingParams:
    """A request's, greedy, which ends at token 0."""
    return SamplingParams(temperature=0, stop_token_ids=[0], extra_args=arguments or None)


class Processor(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        Path(folder.name, "a.json").write_text(json.dumps(descriptor("a", 1, rank=3)))
        os.environ[heads.VARIABLE] = folder.name
        self.addCleanup(os.environ.pop, heads.VARIABLE)
        heads.configured.cache_clear()
        self.addCleanup(heads.configured.cache_clear)
        generator = torch.Generator().manual_seed(5)
        self.tap = tap.install(tap.Tap(heads.configured(), channels.choose(VOCABULARY, 1, {0})))
        self.addCleanup(tap.install, None)
        embeddings = torch.randn(VOCABULARY, WIDTH, generator=generator)
        self.tap.learn_tokens(lambda tokens: embeddings[tokens], VOCABULARY)
        self.states = {layer: torch.randn(3, WIDTH, generator=generator) for layer in self.tap.layers}
        self.own = torch.randn(3, VOCABULARY, generator=generator)

    def apply(self, processor, context=None) -> torch.Tensor:
        """One step's logits of three rows."""
        return processor.apply(self.tap.leave(self.own.clone(), self.tap.project(self.states)), context)

    def is_guided(self, logits) -> list[bool]:
        """Which rows are not the model's own."""
        return [not torch.allclose(row, own, atol=1e-4) for row, own in zip(logits, self.own, strict=True)]

    def test_v1_follows_requests_that_come_move_and_go(self):
        processor = FairleadProcessor(CONFIG, "cpu", False)
        guided = params(fairlead_guide="a", fairlead_strength=3, fairlead_top_k=0)

        def update(removed=(), added=(), moved=()):
            processor.update_state(BatchUpdate(3, removed, added, moved))

        update(added=[(0, params(), None, []), (1, guided, None, []), (2, params(), None, [])])
        first = self.apply(processor)
        self.assertEqual(self.is_guided(first), [False, True, False])
        update(moved=[(1, 2, MoveDirectionality.SWAP)])
        self.assertEqual(self.is_guided(self.apply(processor)), [False, False, True])
        update(removed=[2])
        self.assertEqual(self.is_guided(self.apply(processor)), [False, False, False])

    def test_only_tokens_that_end_the_answer_are_valued_as_its_end(self):
        processor = FairleadProcessor(CONFIG, "cpu", False)
        arguments = {"fairlead_guide": "a", "fairlead_strength": 3, "fairlead_top_k": 0}

        def logits(**changes):
            asked = SamplingParams(temperature=0, extra_args=arguments, **changes)
            # As vLLM does for every request, whether or not it ends at the model's own end token.
            asked.update_from_generation_config({}, eos_token_id=3)
            processor.update_state(BatchUpdate(3, (), [(1, asked, None, [])], ()))
            return self.apply(processor)[1]

        ends, ignores = logits(stop_token_ids=[0]), logits(stop_token_ids=[0], ignore_eos=True)
        self.assertNotAlmostEqual(ends[3].item(), ignores[3].item(), places=3)
        torch.testing.assert_close(torch.cat((ends[:3], ends[4:])), torch.cat((ignores[:3], ignores[4:])))
        torch.testing.assert_close(logits(stop_token_ids=[0, 3], ignore_eos=True), ends)

    def test_v2_maps_rows_to_slots_and_counts_tokens(self):
        states = SimpleNamespace(prompt_len=SimpleNamespace(np=[0, 0, 0, 0, 0, 0, 0, 4]))
        v2, v1 = FairleadProcessor(CONFIG, states), FairleadProcessor(CONFIG, "cpu", False)
        guided = params(fairlead_guide="a", fairlead_strength=3, fairlead_top_k=0)
        # All rows are processed, since all lend places.
        self.assertTrue(v2.add_request(5, params()))
        self.assertTrue(v2.add_request(7, guided))

        def context(length):
            return SimpleNamespace(
                idx_mapping_np=torch.tensor([5, 7, 6]).numpy(), seq_lens_upper_bound_np=[9, length, 9]
            )

        drawn = []
        v1.update_state(BatchUpdate(3, (), [(1, guided, None, drawn)], ()))
        for length in (4, 5, 6):
            torch.testing.assert_close(self.apply(v2, context(length)), self.apply(v1))
            drawn.append(1)
        v2.add_request(7, params())
        self.assertEqual(self.is_guided(self.apply(v2, context(7))), [False, False, False])

    def test_refuses_what_a_request_must_not_say_and_models_that_can_have_no_heads(self):
        with self.assertRaisesRegex(ValueError, "fairlead_guide must name .*; got 'b'"):
            FairleadProcessor.validate_params(params(fairlead_guide="b"))
        other = SimpleNamespace(model_config=SimpleNamespace(architectures=["GemmaForCausalLM"]))
        with self.assertRaisesRegex(ValueError, "the model is GemmaForCausalLM"):
            FairleadProcessor(other, "cpu", False)


if __name__ == "__main__":
    unittest.main()
