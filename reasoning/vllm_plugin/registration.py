"""What vLLM calls in each of its processes."""

from __future__ import annotations

from . import settings
from .answers import tell_reasons


def register() -> None:
    """Put the attention that can look back in the place of the stock one, and have a secret.

    All is without effect until the server is started with the worker and the scheduler of this package.
    """
    from vllm.v1.attention.backends.registry import (  # noqa: PLC0415 - an entry point is read before vLLM is
        AttentionBackendEnum,
        register_backend,
    )

    settings.make_secret()
    tell_reasons()
    register_backend(AttentionBackendEnum.CPU_ATTN, f"{__package__}.backend.LiveViewCPUBackend")
