"""Best of n as client-side libraries get it from an OpenAI-compatible server: its_hub's BestOfN, and the best-of-n of optillm's proxy.

    python proxy_driver.py its_hub|optillm SERVER_URL SCORE_URL REWARD

Asked {"message", "candidates", "newTokens"} a line on standard input; answers {"ms", "tokens"} on file descriptor 3: the time until the best answer is
known, and the tokens that the server drew for it.
"""
import asyncio
import importlib.util
import json
import os
import sys
import time
import types

NAME, SERVER, SCORES, REWARD = sys.argv[1:5]
# The server has one model, whatever it is called.
MODEL = "policy"


def its_hub():
    """its_hub asks for all answers at once; its reward is the scoring pass that every other way here has."""
    import aiohttp
    import its_hub
    from its_hub.core.lms.openai_lm import OpenAICompatibleLanguageModel

    class LanguageModel(OpenAICompatibleLanguageModel):
        """Names the length by the field that llama-cpp-python's server reads, and keeps answers from ending before it."""

        def _prepare_request_data(self, *arguments, **options):
            data = super()._prepare_request_data(*arguments, **options)
            data["max_tokens"] = data["min_tokens"] = data.pop("max_completion_tokens")
            return data

    class Reward(its_hub.AbstractOutcomeRewardModel):
        def score(self, messages, **options):
            raise NotImplementedError

        async def ascore(self, messages, orchestrator=None, **options):
            pairs = [{"prompt": prompt.content, "answer": answer.content} for prompt, answer in messages]
            async with aiohttp.ClientSession() as session, session.post(SCORES, json={"reward": REWARD, "input": pairs}) as response:
                response.raise_for_status()
                return [one["reward"] for one in (await response.json())["data"]]

    async def infer(message, candidates, new_tokens):
        async with LanguageModel(SERVER, "none", MODEL, temperature=1.0, max_completion_tokens=new_tokens) as model:
            result = await its_hub.BestOfN(Reward()).ainfer(model, message, candidates, return_response_only=False)
            return result.usage.completion_tokens

    return its_hub.__version__, lambda *task: asyncio.run(infer(*task))


def optillm():
    """optillm asks for n answers, then has the same model rate each in words. Its package imports what every provider needs: only this module is loaded."""
    from importlib.metadata import version

    import openai

    package = types.ModuleType("optillm")
    package.__path__ = importlib.util.find_spec("optillm").submodule_search_locations
    sys.modules["optillm"] = package
    from optillm.bon import best_of_n_sampling

    openai_client = openai.OpenAI(base_url=SERVER, api_key="none", timeout=None)

    class Completions:
        """llama-cpp-python's server ignores n: the answers are asked for one by one, and none ends early."""

        @staticmethod
        def create(n=1, **request):
            if n == 1:
                return openai_client.chat.completions.create(**request)
            answers = [openai_client.chat.completions.create(**request, extra_body={"min_tokens": request["max_tokens"]}) for _ in range(n)]
            answers[0].usage.completion_tokens = sum(answer.usage.completion_tokens for answer in answers)
            answers[0].choices = [choice for answer in answers for choice in answer.choices]
            return answers[0]

    client = types.SimpleNamespace(chat=types.SimpleNamespace(completions=Completions))

    def infer(message, candidates, new_tokens):
        _, tokens = best_of_n_sampling("You are a helpful assistant.", message, client, MODEL, candidates, {"max_tokens": new_tokens})
        return tokens

    return version("optillm"), infer


def main():
    version, infer = {"its_hub": its_hub, "optillm": optillm}[NAME]()
    with os.fdopen(3, "w", buffering=1) as answers:
        answers.write(json.dumps({"version": version, "configuration": "on llama-cpp-python's server"}) + "\n")
        for line in sys.stdin:
            task = json.loads(line)
            try:
                started = time.perf_counter()
                tokens = infer(task["message"], task["candidates"], task["newTokens"])
                answer = {"ms": (time.perf_counter() - started) * 1e3, "tokens": tokens}
            except Exception as error:
                answer = {"error": f"{type(error).__name__}: {error}"}
            answers.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
