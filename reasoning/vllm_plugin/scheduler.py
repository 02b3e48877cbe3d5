"""The scheduler's part: who may run, whose memory stays, and what every reader sees in a step.

A reader is admitted behind the blocks that it reads and is always preempted before them, so that whoever runs finds
all that it reads in memory. What a reader sees goes to the workers with each step, as lengths and pages: they keep
nothing about views.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from vllm.logger import init_logger
from vllm.v1.core.sched.async_scheduler import AsyncScheduler
from vllm.v1.core.sched.interface import PauseState
from vllm.v1.core.sched.request_queue import SchedulingPolicy
from vllm.v1.core.sched.scheduler import Scheduler
from vllm.v1.engine import EngineCoreOutput, EngineCoreOutputs
from vllm.v1.request import RequestStatus

from . import settings
from .blocks import Blocks, SharedBlock
from .checks import check_configuration, check_version
from .names import RequestRefused, wanted

if TYPE_CHECKING:
    from vllm.v1.core.sched.output import SchedulerOutput
    from vllm.v1.outputs import ModelRunnerOutput
    from vllm.v1.request import Request

logger = init_logger("vllm.live_views")


class _LiveViews(Scheduler):
    """Extends a scheduler by views; the two classes below say which one."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - handed on
        super().__init__(*args, **kwargs)
        check_version()
        check_configuration(self.vllm_config, self.kv_cache_config)
        self._secret = settings.secret()
        self.blocks = Blocks(settings.limits(self.vllm_config.additional_config))
        self._refused: dict[str, RequestRefused] = {}
        """Requests that are to be answered with an error, by id."""

    def add_request(self, request: Request) -> None:
        """Take a request in, and find out what it reads."""
        if request.request_id not in self.requests:
            try:
                self._take_in(request)
            except RequestRefused as refused:
                self._refused[request.request_id] = refused
        super().add_request(request)

    def schedule(self, throttle_prefills: bool = False) -> SchedulerOutput:  # noqa: FBT001, FBT002 - vLLM's signature
        """Plan a step, and tell what each reader in it sees."""
        output = super().schedule(throttle_prefills)
        output.live_views = {}
        for request_id in output.num_scheduled_tokens:
            block = self.blocks.of(request_id)
            if block is not None and block.view:
                output.live_views[request_id] = [(self._length(read), self._pages(read)) for read in block.view]
                request = self.requests[request_id]
                if request.is_prefill_chunk and self._has_outgrown(block, request):
                    self._refused[request_id] = self._too_long(block, request)
        if not output.num_scheduled_tokens and not self.running:
            self._end_stall()
        return output

    def update_from_output(
        self, scheduler_output: SchedulerOutput, model_runner_output: ModelRunnerOutput
    ) -> dict[int, EngineCoreOutputs]:
        """Take a step's result in, and answer those that are refused."""
        outputs = super().update_from_output(scheduler_output, model_runner_output)
        while self._refused:
            request_id, refused = self._refused.popitem()
            for request in self.finish_requests(request_id, RequestStatus.FINISHED_ERROR):
                answer = EngineCoreOutput(
                    request_id=request_id,
                    new_token_ids=[],
                    finish_reason=request.get_finished_reason(),
                    stop_reason=f"live_views {refused.status}: {refused}",
                    events=request.take_events(),
                    trace_headers=request.trace_headers,
                )
                mine = outputs.setdefault(request.client_index, EngineCoreOutputs(outputs=[]))
                mine.outputs.append(answer)
        return outputs

    def _take_in(self, request: Request) -> None:
        parameters = request.sampling_params
        asked = wanted(getattr(parameters, "extra_args", None), self._secret, self.blocks.limits.view)
        if asked is None:
            return
        if request.resumable:
            raise RequestRefused("a streaming input cannot be a block, nor read any")
        block = self.blocks.add(request.request_id, asked)
        if block.view:
            if self._has_outgrown(block, request):
                self.blocks.end(block)
                raise self._too_long(block, request)
            self._make_reader(request, block)

    def _make_reader(self, request: Request, block: SharedBlock) -> None:
        """Keep a reader's cache, which depends on its view, from being taken for others', and rank it behind them."""
        request.cache_salt = f"live-view-{uuid.uuid4().hex}"
        request.skip_reading_prefix_cache = True
        request.block_hashes = []
        request.update_block_hashes()
        read = [self.requests[each.request_id] for each in block.view]
        request.priority = max(request.priority, *(each.priority for each in read))
        # Strictly later than all of them, so that under the policy "priority" the reader goes first, too.
        latest = max(each.arrival_time for each in read)
        request.arrival_time = max(request.arrival_time, latest + 1e-6)

    def _handle_blocked_waiting_request(self, request: Request) -> bool:
        if request.request_id in self._refused or not super()._handle_blocked_waiting_request(request):
            return False
        block = self.blocks.of(request.request_id)
        if block is None or not block.view:
            return True
        if self._has_outgrown(block, request):
            self._refused[request.request_id] = self._too_long(block, request)
            return False
        return all(map(self._is_readable, block.view))

    def _is_readable(self, block: SharedBlock) -> bool:
        """Whether all of the block is in memory or in this step, so that a reader may start."""
        request = self.requests[block.request_id]
        if block.ended:
            return True
        return request.status == RequestStatus.RUNNING and request.num_computed_tokens >= request.num_tokens - 1

    def _length(self, block: SharedBlock) -> int:
        """Give the keys of a block that its readers see in the step that has just been planned.

        The last token of an ended request was never computed; where steps overlap, one more step may have written it.
        """
        request = self.requests[block.request_id]
        if not block.ended:
            length: int = request.num_computed_tokens
            return length
        unwritten = bool(request.num_output_tokens) and request.status != RequestStatus.FINISHED_ABORTED
        return min(request.num_computed_tokens, request.num_tokens - unwritten)

    def _pages(self, block: SharedBlock) -> list[int]:
        (pages,) = self.kv_cache_manager.get_block_ids(block.request_id)
        return list(pages)

    def _view_length(self, block: SharedBlock, request: Request) -> int:
        read = sum(max(self._length(each), self.requests[each.request_id].num_prompt_tokens) for each in block.view)
        return read + request.num_tokens

    def _has_outgrown(self, block: SharedBlock, request: Request) -> bool:
        """Whether a step more could make the view longer than the model reads: each block in it may grow by one."""
        return self._view_length(block, request) + len(block.view) >= self.max_model_len

    def _too_long(self, block: SharedBlock, request: Request) -> RequestRefused:
        return RequestRefused(
            f"the view has {self._view_length(block, request)} tokens in {len(block.view) + 1} blocks that may grow, "
            f"and the model reads {self.max_model_len}; shorten what is read"
        )

    def _update_request_with_output(
        self,
        request: Request,
        new_token_ids: list[int],
        is_stale: bool = False,  # noqa: FBT001, FBT002 - vLLM's signature
    ) -> tuple[list[int], bool]:
        kept, stopped = super()._update_request_with_output(request, new_token_ids, is_stale)
        block = self.blocks.of(request.request_id)
        if not stopped and block is not None and block.view and self._has_outgrown(block, request):
            request.status = RequestStatus.FINISHED_LENGTH_CAPPED
            stopped = True
        return kept, stopped

    def _free_request(self, request: Request, delay_free_blocks: bool = False) -> tuple[Any, Any]:  # noqa: FBT001, FBT002
        block = self.blocks.of(request.request_id)
        if block is None:
            return super()._free_request(request, delay_free_blocks)
        if request.num_computed_tokens < max(request.num_prompt_tokens, request.num_tokens - 1):
            for reader in block.readers:
                name = block.name
                self._refused[reader.request_id] = RequestRefused(
                    f"the block {name!r} was ended before it was computed", 409
                )
        gone = self.blocks.end(block)
        result = super()._free_request(request, delay_free_blocks or block not in gone)
        for each in gone:
            if each is not block:
                self._free_blocks(self.requests[each.request_id])
        return result

    def _end_stall(self) -> None:
        """Nothing runs and nothing fits: let readers of pinned blocks go first, or end one to get its blocks back."""
        if self._pause_state != PauseState.UNPAUSED or self.num_waiting_for_streaming_input:
            return
        startable = (RequestStatus.WAITING, RequestStatus.PREEMPTED)
        readers = [
            (request, block)
            for request in self.waiting
            if request.status in startable
            and request.request_id not in self._refused
            and (block := self.blocks.of(request.request_id)) is not None
            and any(read.ended for read in block.view)
        ]
        if not readers:
            return
        ready = [request for request, block in readers if all(read.ended for read in block.view)]
        if ready and self.waiting.peek_request() is not ready[0]:
            self._move_to_front(ready[0])
            return
        last, block = max(readers, key=lambda reader: (reader[0].priority, reader[0].arrival_time))
        held = sum(len(self._pages(read)) for read in block.view)
        pool = self.kv_cache_manager.block_pool.num_gpu_blocks - 1
        self._refused[last.request_id] = RequestRefused(
            f"there is no room for this block: it needs {-(-last.num_tokens // self.block_size)} pages of "
            f"{self.block_size} tokens beside the {held} that it reads, the cache has {pool}, and nothing else can be "
            "moved out of the way; give the server more cache, or shorten what is read",
            503,
        )

    def _move_to_front(self, request: Request) -> None:
        head = self.waiting.peek_request()
        self.waiting.remove_request(request)
        if self.policy == SchedulingPolicy.PRIORITY:
            # What it reads is ended and cannot be preempted, so that its rank is free.
            request.priority, request.arrival_time = head.priority, head.arrival_time - 1e-6
        self.waiting.prepend_request(request)


class LiveViewScheduler(_LiveViews, Scheduler):
    """vLLM's scheduler with views: `--scheduler-cls vllm_live_views.scheduler.LiveViewScheduler`."""


class AsyncLiveViewScheduler(_LiveViews, AsyncScheduler):
    """The same for steps that overlap. Run without a model only: nothing but a GPU overlaps steps."""
