"""What is checked before a server may start: the version, every method that is overridden, and the configuration.

Everything that cannot be done exactly is refused with the reason and a way out.
"""

from __future__ import annotations

import importlib
import inspect
from typing import Any, Final

VERSIONS: Final = ("0.32.",)
"""Releases whose internals these overrides are written against."""
ARCHITECTURES: Final = frozenset(
    {
        "LlamaForCausalLM",
        "MistralForCausalLM",
        "Qwen2ForCausalLM",
        "Qwen2MoeForCausalLM",
        "Qwen3ForCausalLM",
        "Qwen3MoeForCausalLM",
    }
)
_ROPES: Final = frozenset(
    {
        "RotaryEmbedding",
        "LinearScalingRotaryEmbedding",
        "Llama3RotaryEmbedding",
        "NTKScalingRotaryEmbedding",
        "YaRNScalingRotaryEmbedding",
    }
)
_STOCK: Final = "run this server without live views; Descant then asks it anew as thoughts grow"

_SCHEDULER: Final = "vllm.v1.core.sched.scheduler:Scheduler"
_RUNNER: Final = "vllm.v1.worker.gpu_model_runner:GPUModelRunner"
OVERRIDDEN: Final = {
    f"{_SCHEDULER}.add_request": "self, request",
    f"{_SCHEDULER}.schedule": "self, throttle_prefills",
    f"{_SCHEDULER}.update_from_output": "self, scheduler_output, model_runner_output",
    f"{_SCHEDULER}.finish_requests": "self, request_ids, finished_status",
    f"{_SCHEDULER}._handle_blocked_waiting_request": "self, request",
    f"{_SCHEDULER}._update_request_with_output": "self, request, new_token_ids, is_stale",
    f"{_SCHEDULER}._free_request": "self, request, delay_free_blocks",
    f"{_SCHEDULER}._free_blocks": "self, request",
    "vllm.v1.core.sched.async_scheduler:AsyncScheduler._update_request_with_output": (
        "self, request, new_token_ids, is_stale"
    ),
    "vllm.v1.core.kv_cache_manager:KVCacheManager.get_block_ids": "self, request_id",
    "vllm.v1.request:Request.update_block_hashes": "self",
    f"{_RUNNER}.execute_model": "self, scheduler_output, intermediate_tensors",
    f"{_RUNNER}.sample_tokens": "self, grammar_output",
    f"{_RUNNER}._build_attention_metadata": (
        "self, num_tokens, num_reqs, max_query_len, num_tokens_padded, num_reqs_padded, ubatch_slices, logits_indices, "
        "max_num_sampled_tokens, use_spec_decode, for_cudagraph_capture, num_scheduled_tokens, slot_mappings"
    ),
    "vllm.v1.engine.output_processor:OutputProcessor.process_outputs": (
        "self, engine_core_outputs, engine_core_timestamp, iteration_stats, weight_version"
    ),
    "vllm.exceptions:GracefulHTTPError": "message, http_status",
    "vllm.v1.worker.cpu_worker:CPUWorker.init_device": "self",
    "vllm.v1.worker.cpu_worker:CPUWorker.compile_or_warm_up_model": "self",
    "vllm.v1.attention.backends.cpu_attn:CPUAttentionBackend.get_impl_cls": "",
    "vllm.v1.attention.backends.cpu_attn:CPUAttentionBackendImpl.forward": (
        "self, layer, query, key, value, kv_cache, attn_metadata, output, output_scale, output_block_scale"
    ),
    "vllm.v1.attention.backends.registry:register_backend": "backend, class_path, is_mamba",
}
"""Each method that is overridden or relied on, with the parameters that it is known to have."""


class Unsupported(RuntimeError):
    """Live views cannot be exact on this server."""


def check_version() -> None:
    """Refuse an unknown vLLM, and one whose methods are not what they are taken for."""
    from vllm.version import __version__ as version  # noqa: PLC0415 - this module is read without vLLM, too

    if not version.startswith(VERSIONS):
        known = ", ".join(f"{each}*" for each in VERSIONS)
        raise Unsupported(f"live views are written for vLLM {known} and this is {version}; install one of these")
    for name, expected in OVERRIDDEN.items():
        found = parameters(name)
        if found != expected:
            raise Unsupported(
                f"{name.replace(':', '.')} takes ({found}) in vLLM {version}, and live views know it as ({expected}); "
                f"install a vLLM that they are written for ({', '.join(VERSIONS)}*)"
            )


def parameters(name: str) -> str:
    """Give the parameters of a function by its name as `module:object.attribute`; "missing" where it is not there."""
    module, path = name.split(":")
    try:
        found: Any = importlib.import_module(module)
        for part in path.split("."):
            found = getattr(found, part)
        return ", ".join(inspect.signature(found).parameters)
    except (ImportError, AttributeError):
        return "missing"


def check_configuration(config: Any, cache: Any) -> None:  # noqa: ANN401 - vLLM's own types, which are not there always
    """Refuse a configuration under which views would not be exact."""
    parallel, model = config.parallel_config, config.model_config
    worker, scheduler = parallel.worker_cls, config.scheduler_config.scheduler_cls
    for given, option in ((worker, "--worker-cls"), (scheduler, "--scheduler-cls")):
        name = given if isinstance(given, str) else getattr(given, "__module__", "")
        if "live_views" not in str(name):
            raise Unsupported(f"{option} is {given}: live views need both options, see docs/live-views.md")
    reasons = {
        "speculative decoding: keys of rejected drafts would be seen; leave --speculative-config out": (
            config.speculative_config is not None
        ),
        "context parallelism: a block's keys would lie on several devices; leave it out": (
            parallel.decode_context_parallel_size > 1 or parallel.prefill_context_parallel_size > 1
        ),
        "pipeline parallelism: it was never run; use tensor parallelism": parallel.pipeline_parallel_size > 1,
        "requests admitted in parts: one that has no room beside what it reads would be tried for ever; leave "
        "--scheduler-reserve-full-isl on": not config.scheduler_config.scheduler_reserve_full_isl,
        "a KV connector: what a reader computes depends on its view and must not be handed out; leave it out": (
            config.kv_transfer_config is not None
        ),
        "LoRA: a reader's adapter would read what another has written; serve the merged model": (
            config.lora_config is not None
        ),
        "a quantised cache: queries would be quantised before they are rotated; use --kv-cache-dtype auto": (
            config.cache_config.cache_dtype not in {"auto", "float16", "bfloat16", "float32"}
        ),
    }
    for reason, found in reasons.items():
        if found:
            raise Unsupported(f"live views cannot be exact with {reason}, or {_STOCK}")
    architectures = list(model.hf_config.architectures or ())
    if not ARCHITECTURES.intersection(architectures) or getattr(model.hf_config, "llama_4_scaling", None):
        raise Unsupported(
            f"live views are not known to be exact with {' '.join(architectures) or 'this model'}: its attention may "
            f"depend on positions in other ways; use one of {', '.join(sorted(ARCHITECTURES))}, or {_STOCK}"
        )
    groups = [type(group.kv_cache_spec).__name__ for group in cache.kv_cache_groups]
    if groups != ["FullAttentionSpec"]:
        raise Unsupported(
            f"live views need full attention in all layers, and this cache has {', '.join(groups) or 'nothing'} "
            "(sliding windows, latent or linear attention); use a model with full attention, or " + _STOCK
        )
    spec = cache.kv_cache_groups[0].kv_cache_spec
    if spec.sliding_window is not None or spec.attention_chunk_size is not None:
        raise Unsupported(f"live views cannot be exact with a sliding window over what is read; {_STOCK}")


def check_layers(layers: dict[str, tuple[Any, Any]]) -> Any:  # noqa: ANN401
    """Refuse attention layers that do more than plain attention; give the rotary embedding that all share.

    `layers`: by name, the attention layer and the rotary embedding of the module that owns it.
    """
    ropes = {id(rope): rope for _, rope in layers.values()}
    if len(ropes) != 1:
        raise Unsupported(f"live views need one rotary embedding for all layers and found {len(ropes)}; {_STOCK}")
    (rope,) = ropes.values()
    if type(rope).__name__ not in _ROPES:
        raise Unsupported(
            f"live views cannot turn a query once more under {type(rope).__name__}: its turns depend on the text's "
            f"length or on more than one position; {_STOCK}"
        )
    for name, (layer, _) in layers.items():
        impl = layer.impl
        extras = {
            "a sliding window": impl.sliding_window not in {None, -1, (-1, -1)},
            "a soft cap": bool(impl.logits_soft_cap),
            "attention sinks": getattr(impl, "sinks", None) is not None,
            "ALiBi": impl.alibi_slopes is not None,
            "a cache shared with another layer": bool(impl.kv_sharing_target_layer_name),
            "attention that is not a decoder's": str(impl.attn_type) not in {"decoder", "AttentionType.DECODER"},
        }
        for extra, found in extras.items():
            if found:
                raise Unsupported(f"live views cannot be exact with {extra} (layer {name}); {_STOCK}")
    return rope
