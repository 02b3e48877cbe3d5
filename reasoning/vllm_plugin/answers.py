"""What a client is answered whose request the scheduler has refused: the reason, with a status of HTTP that fits.

vLLM tells clients of an engine's errors nothing but "Internal server error".
"""

from __future__ import annotations

import re
from functools import wraps
from http import HTTPStatus
from typing import Any, Final

_REFUSED: Final = re.compile(r"live_views (\d{3}): (.*)", re.DOTALL)


def tell_reasons() -> None:
    """Have refusals raised where the request's answer is awaited, which vLLM turns into an error of HTTP."""
    from vllm.exceptions import GracefulHTTPError  # noqa: PLC0415 - an entry point is read before vLLM is
    from vllm.v1.engine.output_processor import OutputProcessor  # noqa: PLC0415

    stock = OutputProcessor.process_outputs
    if getattr(stock, "tells_reasons", False):
        return

    @wraps(stock)
    def process_outputs(self: Any, engine_core_outputs: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        refused = []
        for output in engine_core_outputs:
            if output.finish_reason is not None and (found := _REFUSED.match(str(output.stop_reason))):
                state = self.request_states.get(output.request_id)
                if state is not None and state.queue is not None:
                    refused.append((state.queue, found))
        processed = stock(self, engine_core_outputs, *args, **kwargs)
        for queue, found in refused:
            queue.put(GracefulHTTPError(found[2], HTTPStatus(int(found[1]))))
        return processed

    process_outputs.tells_reasons = True  # type: ignore[attr-defined]
    OutputProcessor.process_outputs = process_outputs
