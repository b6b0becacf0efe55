"""LangChain's ChatOpenAI, best of 8 answers by a reward: `alignment` travels in extra_body."""
import os

from langchain_openai import ChatOpenAI

llm = ChatOpenAI(
    base_url=os.environ.get("FAIRLEAD_URL", "http://127.0.0.1:8000") + "/v1",
    api_key="none",
    model="smollm2-135m",
    max_tokens=48,
    seed=2,
    extra_body={"alignment": {"strategy": "best_of_n", "num_candidates": 8, "reward": "positive"}},
)

answer = llm.invoke("Write a short review of a film about a lighthouse keeper.")
print(answer.content)
print("tokens returned:", answer.usage_metadata["output_tokens"])
