"""Searches as client-side libraries do them over an OpenAI-compatible server: its_hub's, and
the best-of-n of optillm's proxy.

    python driver.py its_hub|optillm SERVER_URL MODEL WORDS

Asked {"method", "message", "candidates", "beams", "newTokens", "stepTokens"} a line on standard input; answers {"ms"}
on file descriptor 3: the time until the best answer is known. WORDS are comma-separated; its_hub's reward is the share
of them that an answer has.
"""
import asyncio
import importlib.util
import json
import logging
import os
import re
import sys
import time
import types
import warnings

NAME, SERVER, MODEL, WORDS = sys.argv[1:5]
PATTERNS = [re.compile(rf"(?<!\w){word}(?!\w)", re.IGNORECASE) for word in WORDS.split(",")]


def share(text):
    return sum(1 for pattern in PATTERNS if pattern.search(text)) / len(PATTERNS)


def its_hub():
    import its_hub as package
    from its_hub.core.algorithms.beam_search import BeamSearch
    from its_hub.core.algorithms.bon import BestOfN
    from its_hub.core.algorithms.particle_gibbs import ParticleFiltering
    from its_hub.core.lms.openai_lm import OpenAICompatibleLanguageModel
    from its_hub.core.lms.step_generation import StepGeneration

    # It warns of its own calls at every step.
    warnings.simplefilter("ignore", DeprecationWarning)

    class LanguageModel(OpenAICompatibleLanguageModel):
        """Keeps answers from ending before their length, so that all draw as many tokens."""

        def _prepare_request_data(self, *arguments, **options):
            return {**super()._prepare_request_data(*arguments, **options), "ignore_eos": True}

    class Outcome(package.AbstractOutcomeRewardModel):
        def score(self, messages, **options):
            raise NotImplementedError

        async def ascore(self, messages, orchestrator=None, **options):
            return [share(conversation[-1].content) for conversation in messages]

    class Process(package.AbstractProcessRewardModel):
        def score(self, prompt, responses, **options):
            raise NotImplementedError

        async def ascore(self, prompt, responses, **options):
            return [share(response) for response in responses]

    def algorithm(task):
        if task["method"] == "best_of_n":
            return BestOfN(Outcome())
        # It draws one step more than its most.
        most_steps = task["newTokens"] // task["stepTokens"] - 1
        steps = StepGeneration(most_steps, tokens_per_step=task["stepTokens"], temperature=1.0)
        if task["method"] == "beam_search":
            return BeamSearch(steps, Process(), beam_width=task["beams"])
        return ParticleFiltering(steps, Process())

    async def infer(task):
        length = {"max_completion_tokens": task["newTokens"]} if task["method"] == "best_of_n" else {}
        async with LanguageModel(SERVER, "none", MODEL, temperature=1.0, **length) as model:
            await algorithm(task).ainfer(model, task["message"], task["candidates"])

    return package.__version__, lambda task: asyncio.run(infer(task))


def optillm():
    """Asks for n answers in one request, then has the same model rate each in words.

    Its package imports what every provider needs: only this is loaded.
    """
    from importlib.metadata import version

    import openai

    package = types.ModuleType("optillm")
    package.__path__ = importlib.util.find_spec("optillm").submodule_search_locations
    package.conversation_logger = None
    sys.modules["optillm"] = package
    from optillm.bon import best_of_n_sampling

    openai_client = openai.OpenAI(base_url=SERVER, api_key="none", timeout=None)

    class Completions:
        """None of the n answers ends early; its ratings may."""

        @staticmethod
        def create(n=1, **request):
            more = {"extra_body": {"ignore_eos": True}} if n > 1 else {}
            return openai_client.chat.completions.create(n=n, **request, **more)

    client = types.SimpleNamespace(chat=types.SimpleNamespace(completions=Completions))

    def infer(task):
        if task["method"] != "best_of_n":
            raise ValueError(f"optillm has no {task['method']}")
        limits = {"max_tokens": task["newTokens"]}
        best_of_n_sampling("You are a helpful assistant.", task["message"], client, MODEL, task["candidates"], limits)

    return version("optillm"), infer


def main():
    logging.disable(logging.INFO)
    version, infer = {"its_hub": its_hub, "optillm": optillm}[NAME]()
    with os.fdopen(3, "w", buffering=1) as answers:
        answers.write(json.dumps({"version": version, "configuration": "on vLLM"}) + "\n")
        for line in sys.stdin:
            task = json.loads(line)
            try:
                started = time.perf_counter()
                infer(task)
                answer = {"ms": (time.perf_counter() - started) * 1e3}
            except Exception as error:
                answer = {"error": f"{type(error).__name__}: {error}"}
            answers.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
