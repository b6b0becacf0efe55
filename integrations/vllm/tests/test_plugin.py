"""The plugin's own parts on small tensors, without an engine. Run: python -m pytest, or python -m unittest."""

import base64
import json
import math
import tempfile
import unittest
from pathlib import Path

import torch

from fairlead_vllm import channels
from fairlead_vllm.arguments import parse
from fairlead_vllm.guidance import begin, guide
from fairlead_vllm.heads import DescriptorError, check_model, find_heads
from fairlead_vllm.tap import Tap, join, split

WIDTH, VOCABULARY = 6, 40


def encode(matrix: torch.Tensor) -> str:
    """As descriptors hold matrices."""
    return base64.b64encode(matrix.numpy().astype("<f4").tobytes()).decode()


def descriptor(name: str, seed: int, rank: int = 0, **changes) -> dict:
    """A head's descriptor with random numbers; with a Q-head where it has a rank."""
    generator = torch.Generator().manual_seed(seed)
    statistics = {"normalization": {"mean": 0.3, "std": 1.5, "pool": "none"}}
    fields = {
        "name": name, "description": name, "kind": "head", "layer": 1, "pooling": "mean", "bias": 0.25,
        "members": {"outcome": statistics, "prefix": statistics},
        "policy": {"id": "tiny", "weightsSha256": "0" * 64, "format": "f32"},
        "weights": torch.randn(WIDTH, generator=generator).tolist(),
    }
    if rank:
        matrices = [torch.randn(rank, WIDTH + 1, generator=generator) for _ in range(2)]
        fields["nextToken"] = {"layer": 2, "rank": rank, "state": encode(matrices[0]), "token": encode(matrices[1])}
    return {**fields, **changes}


def heads_of(*descriptors: dict):
    """Heads as they are read from a folder."""
    with tempfile.TemporaryDirectory() as folder:
        for index, fields in enumerate(descriptors):
            Path(folder, f"{index}.json").write_text(json.dumps(fields))
        return find_heads(folder)


class Descriptors(unittest.TestCase):
    def test_reads_heads_and_names_other_kinds(self):
        heads, others = heads_of(descriptor("a", 1), descriptor("b", 2, rank=3), {"name": "c", "kind": "rule"})
        self.assertEqual([head.name for head in heads], ["a", "b"])
        self.assertEqual(tuple(heads[1].q_head.state.shape), (3, WIDTH + 1))
        self.assertEqual([Path(file).name for file in others], ["2.json"])

    def test_digests_are_those_of_fairlead(self):
        """The same descriptor and digests are in its tests/unit/rewards/kinds/head-digests.test.ts."""
        fields = descriptor("a", 1, weights=[0.5, -1, 0.1, 2e-7, 3, 1e30], bias=-0.75)
        zeros = encode(torch.zeros(1, WIDTH + 1))
        head = heads_of({**fields, "nextToken": {"layer": 2, "rank": 1, "state": zeros, "token": zeros}})[0][0]
        self.assertEqual(head.sha256, "df17a90b552c3c53e1d0bdf9339aec8ff77d4efd83a85f3ee139100df4a0f187")
        self.assertEqual(head.q_head.sha256, "f01b3cc100d24717e352cce73c99b18d623799145f87f2939ae1fd7124a6cbf2")

    def test_refusals_name_file_and_rule(self):
        broken = [
            (descriptor("a", 1, weights=[1, float("nan")]), "finite"),
            (descriptor("a", 1, pooling="first"), "pooling"),
            (descriptor("a", 1, rank=2, pooling="last"), "nextToken requires"),
            ({"name": "a", "kind": "head"}, "is required"),
        ]
        for fields, message in broken:
            with self.assertRaisesRegex(DescriptorError, rf"0\.json: .*{message}"):
                heads_of(fields)
        short = descriptor("a", 1, rank=2)
        short["nextToken"]["rank"] = 3
        with self.assertRaisesRegex(DescriptorError, "21 float32 numbers"):
            heads_of(short)
        with self.assertRaisesRegex(DescriptorError, "already used"):
            heads_of(descriptor("a", 1), descriptor("a", 2))

    def test_a_head_must_fit_the_model(self):
        heads, _ = heads_of(descriptor("a", 1, rank=2))
        check_model(tuple(heads), WIDTH, 2)
        with self.assertRaisesRegex(DescriptorError, "width 6; the model has width 8"):
            check_model(tuple(heads), 8, 2)
        with self.assertRaisesRegex(DescriptorError, "layer 2; the model has layers 0 to 1"):
            check_model(tuple(heads), WIDTH, 1)


class Numbers(unittest.TestCase):
    def test_values_of_any_size_survive_the_log_probabilities(self):
        places = channels.choose(VOCABULARY, 3, {VOCABULARY - 1})
        self.assertEqual(places.tokens, tuple(range(VOCABULARY - 2, VOCABULARY - 10, -1)))
        values = torch.tensor([[0.0, 1e-6, -3.25], [1234.5, -7e8, 0.1]])
        logits = 5 * torch.randn(2, VOCABULARY, generator=torch.Generator().manual_seed(1))
        before = logits.log_softmax(-1)
        lent = channels.write(logits, values, torch.tensor(places.tokens))
        after = logits.log_softmax(-1)
        for row in range(2):
            reported = dict(enumerate(after[row].tolist()))
            for head in range(3):
                want = values[row, head].item()
                self.assertAlmostEqual(channels.read(reported, places, head), want, delta=2e-6 * abs(want))
        others = [token for token in range(VOCABULARY) if token not in places.tokens]
        torch.testing.assert_close(after[:, others], before[:, others], atol=2e-6, rtol=0)
        torch.testing.assert_close(lent.log_softmax(-1), before[:, list(places.tokens)].log_softmax(-1))

    def test_pieces_of_16_bits_hold_32(self):
        numbers = torch.randn(4, 5, generator=torch.Generator().manual_seed(2)) * 20
        for dtype in (torch.bfloat16, torch.float16, torch.float32):
            columns = split(numbers, dtype)
            self.assertEqual(columns.dtype, dtype)
            torch.testing.assert_close(join(columns), numbers, atol=0, rtol=2e-7)


class Arguments(unittest.TestCase):
    def setUp(self):
        self.heads = tuple(heads_of(descriptor("a", 1), descriptor("b", 2, rank=3), descriptor("c", 3, rank=2))[0])

    def test_defaults(self):
        self.assertIsNone(parse(None, self.heads))
        self.assertIsNone(parse({"another": 1}, self.heads))
        guidance = parse({"fairlead_guide": "b"}, self.heads)
        self.assertEqual((guidance.heads, guidance.strengths, guidance.sums, guidance.top_k), ((1,), (1.0,), (0.0,), 64))

    def test_refusals_name_field_rule_and_value(self):
        for arguments, message in [
            ({"fairlead_guide": "a"}, r"fairlead_guide must name .*\(b, c\); got 'a'"),
            ({"fairlead_guide": ["b", "b"]}, "different"),
            ({"fairlead_strength": 2}, "fairlead_guide must"),
            ({"fairlead_guide": "b", "fairlead_strength": [1, 2]}, "contain 1 numbers"),
            ({"fairlead_guide": "b", "fairlead_strength": math.nan}, "contain 1 numbers"),
            ({"fairlead_guide": "b", "fairlead_top_k": True}, "integer from 0 to 1024"),
            ({"fairlead_guide": "b", "fairlead_answer_tokens": 2}, "fairlead_sums must be given"),
            ({"fairlead_giude": "b"}, "fairlead_giude is unknown"),
        ]:
            with self.assertRaisesRegex(ValueError, message):
                parse(arguments, self.heads)


class Steps(unittest.TestCase):
    """A batch's steps as an engine makes them, against the formula written out."""

    def setUp(self):
        self.heads = tuple(heads_of(descriptor("a", 1, rank=3), descriptor("b", 2, rank=2))[0])
        self.tap = Tap(self.heads, channels.choose(VOCABULARY, 2, {0}))
        self.generator = torch.Generator().manual_seed(4)
        self.embeddings = torch.randn(VOCABULARY, WIDTH, generator=self.generator)
        self.tap.learn_tokens(lambda tokens: self.embeddings[tokens], VOCABULARY)

    def step(self):
        """Random states and logits of two rows. Returns the states, the own logits and those with values."""
        states = {layer: torch.randn(2, WIDTH, generator=self.generator) for layer in self.tap.layers}
        own = torch.randn(2, VOCABULARY, generator=self.generator)
        return states, own, self.tap.leave(own.clone(), self.tap.project(states))

    def expected(self, own, state, values, strengths, temperature):
        """ln π + strength · value, for one row. @values: of each head, over the answer's tokens"""
        scores = own.double() / temperature
        for head, strength in zip(self.heads, strengths, strict=True):
            statistics = head.members["prefix"]["normalization"]
            seen = values[head.name]
            mean = sum(seen) / len(seen) if seen else statistics["mean"]
            one = torch.cat((state[2].double(), torch.ones(1)))
            token = torch.cat((self.embeddings.double(), torch.ones(VOCABULARY, 1)), -1)
            added = token @ head.q_head.token.double().T @ (head.q_head.state.double() @ one)
            value = (sum(seen) + added) / (len(seen) + 1)
            value[0] = mean
            scores += strength * (value - statistics["mean"]) / statistics["std"]
        return scores.softmax(-1)

    def test_own_logits_come_back_and_what_was_added_stays(self):
        _, own, logits = self.step()
        logits[:, 39] += 3
        logits[0, 38] = float("-inf")
        self.tap.restore(logits)
        own[:, 39] += 3
        own[0, 38] = float("-inf")
        torch.testing.assert_close(logits, own, atol=2e-5, rtol=0)
        with self.assertRaisesRegex(RuntimeError, "did not compute"):
            self.tap.restore(logits)

    def test_guided_steps_are_the_formula(self):
        arguments = {"fairlead_guide": ["a", "b"], "fairlead_strength": [2.0, -1.0], "fairlead_top_k": 0}
        answer = begin(parse(arguments, self.heads), [0], 0.7, self.tap)
        values = {head.name: [] for head in self.heads}
        for drawn in range(4):
            for again in range(2):
                # A step that is computed twice, as after a preemption, counts once.
                states, own, logits = self.step()
                if drawn:
                    for head in self.heads:
                        value = (states[1][1] @ head.weights).item() + head.bias
                        values[head.name] = values[head.name][:drawn - 1] + [value]
                guide(logits, self.tap.restore(logits), [(1, answer, drawn)], self.tap)
            torch.testing.assert_close(logits[0], own[0], atol=2e-5, rtol=0)
            want = self.expected(own[1], {layer: state[1] for layer, state in states.items()}, values, [2.0, -1.0], 0.7)
            torch.testing.assert_close((logits[1].double() / 0.7).softmax(-1), want, atol=1e-5, rtol=0)

    def test_an_answer_goes_on_in_another_request(self):
        arguments = {"fairlead_guide": "a", "fairlead_answer_tokens": 3, "fairlead_sums": 1.5, "fairlead_top_k": 0}
        answer = begin(parse(arguments, self.heads), [0], 1.0, self.tap)
        states, own, logits = self.step()
        guide(logits, self.tap.restore(logits), [(0, answer, 0)], self.tap)
        value = (states[1][0] @ self.heads[0].weights).item() + self.heads[0].bias
        values = {"a": [0.75, 0.75, value], "b": [0.0]}
        want = self.expected(own[0], {layer: state[0] for layer, state in states.items()}, values, [1.0, 0.0], 1.0)
        torch.testing.assert_close(logits[0].double().softmax(-1), want, atol=1e-5, rtol=0)

    def test_rows_have_candidates_of_their_own(self):
        """Side by side as alone, whatever the others' number of candidates, ends and length."""
        asked = [{"fairlead_guide": "a", "fairlead_top_k": 5}, {"fairlead_guide": ["b", "a"], "fairlead_top_k": 3}]
        for more in (7, 0):
            requests = [*asked, {"fairlead_guide": "b", "fairlead_strength": -9, "fairlead_top_k": more}]
            states = {layer: torch.randn(3, WIDTH, generator=self.generator) for layer in self.tap.layers}
            own = torch.randn(3, VOCABULARY, generator=self.generator)

            def run(rows):
                logits = self.tap.leave(own.clone(), self.tap.project(states))
                answers = [begin(parse(requests[row], self.heads), [0, row], 1.0, self.tap) for row in rows]
                guided = [(row, answer, 0) for row, answer in zip(rows, answers, strict=True)]
                guide(logits, self.tap.restore(logits), guided, self.tap)
                return logits

            together = run([0, 1, 2])
            for row in range(3):
                torch.testing.assert_close(together[row], run([row])[row], atol=1e-5, rtol=0)
            counts = together.isfinite().sum(-1).tolist()
            self.assertEqual(counts, [5, 3, more or VOCABULARY])

    def test_only_candidates_are_left(self):
        answer = begin(parse({"fairlead_guide": "a", "fairlead_top_k": 5}, self.heads), [0], 1.0, self.tap)
        _, own, logits = self.step()
        guide(logits, self.tap.restore(logits), [(0, answer, 0)], self.tap)
        self.assertEqual(set(logits[0].isfinite().nonzero().flatten().tolist()), set(own[0].topk(5).indices.tolist()))
        self.assertTrue(logits[1].isfinite().all())


if __name__ == "__main__":
    unittest.main()
