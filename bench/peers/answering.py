"""The engine's side of the protocol (protocol.ts), for engines that run in Python. Knows no engine."""
import json
import os
import sys


def answer_tasks(about, open_run):
    """Answers tasks until standard input ends.

    about: version and configuration. open_run(task): a context manager that makes ready for the task, untimed, and gives run(prompt, new_tokens),
    which returns what was measured.
    """
    # Libraries write to standard output as they like; answers have a descriptor of their own.
    with os.fdopen(3, "w", buffering=1) as answers:
        answers.write(json.dumps(about) + "\n")
        for line in sys.stdin:
            task = json.loads(line)
            try:
                with open_run(task) as run:
                    run(task["warmUpPrompt"], task["warmUpTokens"])
                    answer = run(task["prompt"], task["newTokens"])
            except Exception as error:
                answer = {"error": f"{type(error).__name__}: {error}"}
            answers.write(json.dumps(answer) + "\n")


def measured(started, first, ended, prompt_tokens, drawn):
    """What a run returns; the times are time.perf_counter()'s, drawn is a list of tokens per candidate."""
    return {"firstMs": (first - started) * 1e3, "totalMs": (ended - started) * 1e3, "promptTokens": prompt_tokens, "drawn": drawn}
