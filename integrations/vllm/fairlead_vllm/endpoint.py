"""``GET /fairlead/heads``: how a client finds out that the plugin is there, and where its heads' values are."""

from argparse import Namespace

from fastapi import FastAPI, Request

from fairlead_vllm import __version__, channels
from fairlead_vllm.heads import Head, configured

#: Changes with the meaning of channels and arguments.
INTERFACE = 1


def description(heads: tuple[Head, ...], places: channels.Channels) -> dict:
    """The endpoint's answer."""
    return {
        "version": __version__,
        "interface": INTERFACE,
        "channels": {
            "sink": places.sink,
            "reference": places.reference,
            "mantissa_scale": channels.MANTISSA,
            "exponent_scale": channels.EXPONENT,
        },
        "heads": [
            {
                "name": head.name,
                "description": head.description,
                "layer": head.layer,
                "pooling": head.pooling,
                "members": head.members,
                "policy": head.policy,
                "mantissa": places.of(index)[0],
                "exponent": places.of(index)[1],
                "sha256": head.sha256,
                "next_token": head.q_head is not None,
                "next_token_sha256": head.q_head and head.q_head.sha256,
            }
            for index, head in enumerate(heads)
        ],
    }


class FairleadEndpoint:
    """Entry point of ``vllm.endpoint_plugins``, which vLLM loads where VLLM_PLUGINS names it."""

    name = "fairlead"
    required_tasks = ("generate",)

    def attach_router(self, app: FastAPI) -> None:
        """Adds the route, where there are heads."""
        if not configured():
            return

        @app.get("/fairlead/heads")
        async def heads(request: Request) -> dict:
            return request.app.state.fairlead

    async def init_state(self, engine_client, state, args: Namespace) -> None:
        """Computes the answer from the model's configuration."""
        if not configured():
            return
        from fairlead_vllm.models import channels_for

        config = engine_client.model_config.hf_config.get_text_config()
        state.fairlead = description(configured(), channels_for(config, len(configured())))
