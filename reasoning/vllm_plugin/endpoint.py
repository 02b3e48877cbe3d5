"""The HTTP part: says that this server has live views, and hands out sessions.

    GET  /v1/live_views            {"version": "0.1.0", "max_view": 8, "max_blocks": 32, "max_model_len": 4096}
    POST /v1/live_views/sessions   {"session": "…"}

Both lie behind the server's API key, where it has one. The routes are there only where scheduler and worker are this
package's: what is announced is what the self-test has passed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from . import settings
from .names import new_session

if TYPE_CHECKING:
    from argparse import Namespace

    from fastapi import FastAPI
    from starlette.datastructures import State

VERSION: Final = "0.1.0"


class LiveViewsEndpoint:
    """An endpoint plugin of vLLM."""

    name: Final = "live_views"
    required_tasks: Final = ("generate",)

    def __init__(self) -> None:
        self._told: dict[str, Any] | None = None

    def attach_router(self, app: FastAPI) -> None:
        """Add the routes."""
        from fastapi import HTTPException  # noqa: PLC0415 - a worker reads this module without a web server

        def told() -> dict[str, Any]:
            if self._told is None:
                raise HTTPException(404, "this server runs without live views: see --scheduler-cls and --worker-cls")
            return self._told

        async def announce() -> dict[str, Any]:
            return told()

        async def open_session() -> dict[str, str]:
            told()
            return {"session": new_session(settings.secret())}

        app.add_api_route("/v1/live_views", announce, methods=["GET"])
        app.add_api_route("/v1/live_views/sessions", open_session, methods=["POST"])

    async def init_state(self, engine_client: Any, state: State, args: Namespace) -> None:  # noqa: ANN401, ARG002
        """Find out what the engine was started with."""
        if engine_client is None:
            return
        config = engine_client.vllm_config
        parts = (config.scheduler_config.scheduler_cls, config.parallel_config.worker_cls)
        if all(__package__ in str(part) for part in parts):
            limits = settings.limits(config.additional_config)
            self._told = {
                "version": VERSION,
                "max_view": limits.view,
                "max_blocks": limits.blocks,
                "max_model_len": config.model_config.max_model_len,
            }
