"""Best of 8 answers by a published reward model that vLLM serves beside Fairlead.

    vllm serve Skywork/Skywork-Reward-V2-Llama-3.2-1B --served-model-name skywork --runner pooling --port 8001
    npm start -- --rewards-dir examples/rewards --remote-scorers http://127.0.0.1:8001
    pip install openai && python3 examples/python/best_of_n_skywork.py

Without vLLM the same checkpoint runs in Fairlead itself, as a reward of the kind `classifier` (docs/own-rewards.md).
"""
import os

from openai import OpenAI

client = OpenAI(base_url=os.environ.get("FAIRLEAD_URL", "http://127.0.0.1:8000") + "/v1", api_key="none")
completion = client.chat.completions.create(
    model="smollm2-135m",
    messages=[{"role": "user", "content": "How do I sharpen a kitchen knife?"}],
    max_tokens=64,
    seed=1,
    extra_body={
        "alignment": {"strategy": "best_of_n", "num_candidates": 8, "reward": "skywork", "return_candidates": True}
    },
)
chosen = completion.choices[0]
print(chosen.message.content)
print("reward:", chosen.model_extra["alignment"]["reward"])
for candidate in completion.model_extra["alignment"]["candidates"]:
    print(f"{candidate['reward']:8.3f}  {candidate['text'][:70]!r}")
