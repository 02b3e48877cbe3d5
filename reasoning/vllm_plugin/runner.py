"""The workers' part: lays out each step's views for the attention, and tests itself before anybody is served."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vllm.logger import init_logger
from vllm.model_executor.layers.attention import Attention
from vllm.v1.worker import cpu_worker
from vllm.v1.worker.cpu_model_runner import CPUModelRunner
from vllm.v1.worker.cpu_worker import CPUWorker

from . import settings
from .attention import Reader, ViewPlan, make_plan, rotation_table
from .backend import LAYOUT, LiveViewCPUImpl
from .checks import Unsupported, check_configuration, check_layers, check_version
from .selftest import check_model

if TYPE_CHECKING:
    from vllm.v1.core.sched.output import SchedulerOutput
    from vllm.v1.kv_cache_interface import KVCacheConfig
    from vllm.v1.worker.worker_base import CompilationTimes

logger = init_logger("vllm.live_views")


class LiveViewCPURunner(CPUModelRunner):
    """vLLM's model runner for processors, with views."""

    def load_model(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - handed on
        """Load the model, and find what turns its queries."""
        super().load_model(*args, **kwargs)
        modules = dict(self.model.named_modules())
        layers = {
            name: (module, getattr(modules[name.rpartition(".")[0]], "rotary_emb", None))
            for name, module in modules.items()
            if isinstance(module, Attention)
        }
        rope = check_layers(layers)
        for layer, _ in layers.values():
            if not isinstance(layer.impl, LiveViewCPUImpl):
                raise Unsupported(
                    f"the attention backend is {type(layer.impl).__name__}: the plugin live_views is not loaded "
                    "(see VLLM_PLUGINS), or another backend was asked for"
                )
            layer.impl.halves = rope.is_neox_style
        # In float32, whatever the model keeps: a rounded turn would be added to one that is rounded already.
        self._turns = rotation_table(rope._compute_cos_sin_cache())
        self._views: dict[str, list[tuple[int, list[int]]]] = {}

    def initialize_kv_cache(self, kv_cache_config: KVCacheConfig, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        """Make the cache, unless views over it would not be exact."""
        check_configuration(self.vllm_config, kv_cache_config)
        super().initialize_kv_cache(kv_cache_config, *args, **kwargs)
        for group in self.attn_groups[0]:
            if group.get_metadata_builder().isa != LAYOUT:
                raise Unsupported(
                    f"live views do not know the cache layout {group.get_metadata_builder().isa!r}; use float32, or a "
                    "processor without AMX, with a --block-size that 32 divides"
                )

    def execute_model(self, scheduler_output: SchedulerOutput, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        """Compute a step with what the scheduler says of its views."""
        self._views = getattr(scheduler_output, "live_views", {})
        try:
            return super().execute_model(scheduler_output, *args, **kwargs)
        finally:
            self._views = {}

    def _build_attention_metadata(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        metadata, spec_decode = super()._build_attention_metadata(*args, **kwargs)
        if self._views:
            plan = self._plan()
            for each in {id(each): each for each in metadata.values()}.values():
                each.live_views = plan
        return metadata, spec_decode

    def _plan(self) -> ViewPlan:
        starts = self.query_start_loc.np
        readers = []
        for row, request_id in enumerate(self.input_batch.req_ids):
            if (view := self._views.get(request_id)) is not None:
                tokens = range(int(starts[row]), int(starts[row + 1]))
                computed = int(self.input_batch.num_computed_tokens_cpu[row])
                (pages,) = self.requests[request_id].block_ids
                readers.append(Reader(tokens, computed + len(tokens), pages, view))
        return make_plan(readers, self._turns, self.device)


class LiveViewWorker(CPUWorker):
    """vLLM's worker for processors, with views: `--worker-cls vllm_live_views.runner.LiveViewWorker`."""

    def init_device(self) -> None:
        """Set the runner up, which vLLM's worker makes by name."""
        check_version()
        if self.use_v2_model_runner:
            raise Unsupported("live views do not know the second model runner yet; set VLLM_USE_V2_MODEL_RUNNER=0")
        settings.secret()
        stock = cpu_worker.CPUModelRunner
        cpu_worker.CPUModelRunner = LiveViewCPURunner
        try:
            super().init_device()
        finally:
            cpu_worker.CPUModelRunner = stock

    def compile_or_warm_up_model(self) -> CompilationTimes:
        """Get ready, and see that views are exact before the first request."""
        times = super().compile_or_warm_up_model()
        worst, allowed = check_model(self.model_runner)
        logger.info("live views: self-test passed (largest difference %.2g of %.2g allowed)", worst, allowed)
        return times
