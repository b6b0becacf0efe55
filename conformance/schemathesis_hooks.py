"""Names of what the server has, put where made-up ones would only ever be answered with 404. Loaded by schemathesis."""
import schemathesis

# Fields that multiply the work, and how much of them is enough here. Values out of range stay, for the server to refuse.
ENOUGH = {"max_tokens": 4, "max_completion_tokens": 4, "min_tokens": 2, "n": 2, "best_of": 2}
MODEL = "smollm2-135m"
REWARD = "length"


def named(value, name):
    """The name in place of a made-up one; what is no name stays, for the server to refuse."""
    return name if isinstance(value, str) and value else value


@schemathesis.hook
def map_body(context, body):
    if not isinstance(body, dict):
        return body
    path = context.operation.path
    if "model" in body:
        body["model"] = named(body["model"], REWARD if path in ("/v1/score", "/v1/rerank") else MODEL)
    for field, enough in ENOUGH.items():
        value = body.get(field)
        # 103.0 is an integer, too.
        if isinstance(value, (int, float)) and enough < value <= (128 if field in ("n", "best_of") else 1 << 20):
            body[field] = enough
    for owner in (body, body.get("alignment")):
        if not isinstance(owner, dict):
            continue
        if "reward" in owner:
            owner["reward"] = named(owner["reward"], REWARD)
        for reward in owner.get("rewards") or [] if isinstance(owner.get("rewards"), list) else []:
            if isinstance(reward, dict) and "name" in reward:
                reward["name"] = named(reward["name"], REWARD)
    return body
