"""A reward from a CSV file of preferences, and an answer steered by it. The standard library is enough.

    python3 examples/python/fit_from_csv.py pairs.csv

The file has the columns prompt, chosen and rejected, and at least 20 rows. What is printed is the accuracy on pairs that
were held out, beside controls: a reward that is no better than the length of an answer has learnt nothing else.
"""
import csv
import json
import os
import sys
import urllib.error
import urllib.request

URL = os.environ.get("FAIRLEAD_URL", "http://127.0.0.1:8000")


def post(path: str, body: dict) -> dict:
    request = urllib.request.Request(URL + path, json.dumps(body).encode(), {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request) as response:
            return json.load(response)
    except urllib.error.HTTPError as error:
        sys.exit(f"{path}: {json.load(error)['error']['message']}")


with open(sys.argv[1], newline="", encoding="utf-8-sig") as file:
    pairs = [{key: row[key] for key in ("prompt", "chosen", "rejected")} for row in csv.DictReader(file)]

reward = post("/v1/rewards/fit", {"name": "from_csv", "examples": pairs, "replace": True})
metrics = reward["metrics"]
whole = metrics["by_prefix"][-1]
print(f"{metrics['measure']} {whole['accuracy']:.2f} ± {whole['standard_error']:.2f} on {metrics['examples']} held-out pairs")
for control, value in metrics["controls"].items():
    print(f"  {control}: {value:.2f}")

answer = post("/v1/chat/completions", {
    "model": "smollm2-135m",
    "messages": [{"role": "user", "content": pairs[0]["prompt"]}],
    "max_tokens": 48,
    "alignment": {"strategy": "best_of_n", "num_candidates": 8, "reward": "from_csv"},
})
print("\n" + answer["choices"][0]["message"]["content"])
