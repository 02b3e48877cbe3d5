"""What a server with live views refuses. vLLM's configuration is stood for by its fields; vLLM itself is not here."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from reasoning.vllm_plugin.blocks import PluginLimits
from reasoning.vllm_plugin.checks import Unsupported, check_configuration, check_layers, parameters
from reasoning.vllm_plugin.settings import SECRET, limits, make_secret, secret


class FullAttentionSpec(SimpleNamespace):
    """As vLLM's; it is told by its name."""


class SlidingWindowSpec(SimpleNamespace):
    pass


class RotaryEmbedding:
    pass


class DynamicNTKScalingRotaryEmbedding:
    pass


def configuration(**changes: object) -> tuple[Any, Any]:
    """A configuration that is fine, with some fields changed, by dotted names."""
    config = SimpleNamespace(
        parallel_config=SimpleNamespace(
            worker_cls="vllm_live_views.runner.LiveViewWorker",
            decode_context_parallel_size=1,
            prefill_context_parallel_size=1,
            pipeline_parallel_size=1,
        ),
        scheduler_config=SimpleNamespace(
            scheduler_cls="vllm_live_views.scheduler.LiveViewScheduler", scheduler_reserve_full_isl=True
        ),
        model_config=SimpleNamespace(hf_config=SimpleNamespace(architectures=["LlamaForCausalLM"])),
        cache_config=SimpleNamespace(cache_dtype="auto"),
        speculative_config=None,
        kv_transfer_config=None,
        lora_config=None,
    )
    spec = FullAttentionSpec(sliding_window=None, attention_chunk_size=None)
    cache = SimpleNamespace(kv_cache_groups=[SimpleNamespace(kv_cache_spec=spec)])
    for name, value in changes.items():
        *path, last = name.split("__")
        owner: Any = SimpleNamespace(config=config, cache=cache)
        for part in path:
            owner = getattr(owner, part)
        setattr(owner, last, value)
    return config, cache


def test_a_plain_configuration_is_fine() -> None:
    check_configuration(*configuration())


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"config__parallel_config__worker_cls": "auto"}, "need both options"),
        ({"config__scheduler_config__scheduler_cls": None}, "need both options"),
        ({"config__speculative_config": object()}, "keys of rejected drafts"),
        ({"config__parallel_config__decode_context_parallel_size": 2}, "context parallelism"),
        ({"config__parallel_config__prefill_context_parallel_size": 2}, "context parallelism"),
        ({"config__parallel_config__pipeline_parallel_size": 2}, "pipeline parallelism"),
        ({"config__kv_transfer_config": object()}, "a KV connector"),
        ({"config__scheduler_config__scheduler_reserve_full_isl": False}, "requests admitted in parts"),
        ({"config__lora_config": object()}, "LoRA"),
        ({"config__cache_config__cache_dtype": "fp8"}, "a quantised cache"),
        (
            {"config__model_config__hf_config__architectures": ["Gemma3ForCausalLM"]},
            "not known to be exact with Gemma3",
        ),
        ({"config__model_config__hf_config__architectures": None}, "not known to be exact with this model"),
        ({"config__model_config__hf_config__llama_4_scaling": {"beta": 0.1}}, "may depend on positions in other ways"),
        ({"cache__kv_cache_groups": []}, "has nothing"),
        (
            {"cache__kv_cache_groups": [SimpleNamespace(kv_cache_spec=SlidingWindowSpec())]},
            "has SlidingWindowSpec .*sliding windows, latent or linear attention",
        ),
        (
            {
                "cache__kv_cache_groups": [
                    SimpleNamespace(kv_cache_spec=FullAttentionSpec(sliding_window=512, attention_chunk_size=None))
                ]
            },
            "a sliding window over what is read",
        ),
    ],
)
def test_what_would_not_be_exact_is_refused_with_the_reason_and_a_way_out(
    changes: dict[str, object], reason: str
) -> None:
    with pytest.raises(Unsupported, match=reason) as refused:
        check_configuration(*configuration(**changes))
    assert any(word in str(refused.value) for word in ("without live views", "see docs/live-views.md"))


def layers(rope: object = None, **changes: object) -> dict[str, tuple[Any, Any]]:
    plain: dict[str, object] = {
        "sliding_window": -1,
        "logits_soft_cap": 0,
        "sinks": None,
        "alibi_slopes": None,
        "kv_sharing_target_layer_name": None,
        "attn_type": "decoder",
    }
    rope = RotaryEmbedding() if rope is None else rope
    return {f"layer{n}": (SimpleNamespace(impl=SimpleNamespace(**{**plain, **changes})), rope) for n in range(2)}


def test_layers_share_one_rope() -> None:
    rope = RotaryEmbedding()
    assert check_layers(layers(rope)) is rope
    with pytest.raises(Unsupported, match="one rotary embedding for all layers and found 2"):
        check_layers({**layers(), "other": layers()["layer0"]})


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"sliding_window": 1024}, "a sliding window"),
        ({"logits_soft_cap": 30.0}, "a soft cap"),
        ({"sinks": object()}, "attention sinks"),
        ({"alibi_slopes": object()}, "ALiBi"),
        ({"kv_sharing_target_layer_name": "layer0"}, "a cache shared with another layer"),
        ({"attn_type": "encoder"}, "attention that is not a decoder's"),
        ({"rope": DynamicNTKScalingRotaryEmbedding()}, "under DynamicNTKScalingRotaryEmbedding"),
    ],
)
def test_layers_that_do_more_than_plain_attention_are_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(Unsupported, match=reason):
        check_layers(layers(**changes))


def test_a_method_is_known_by_its_parameters() -> None:
    assert parameters("reasoning.vllm_plugin.checks:check_layers") == "layers"
    assert parameters("reasoning.vllm_plugin.blocks:Blocks.add") == "self, request_id, wanted"
    assert parameters("reasoning.vllm_plugin.blocks:Blocks.nothing") == "missing"
    assert parameters("reasoning.vllm_plugin.nothing:Blocks") == "missing"


def test_a_secret_is_made_once_and_has_to_be_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SECRET, raising=False)
    with pytest.raises(RuntimeError, match="is not loaded, see VLLM_PLUGINS"):
        secret()
    monkeypatch.setenv(SECRET, "short")
    with pytest.raises(ValueError, match="has 5 bytes; a secret has at least 32"):
        secret()
    monkeypatch.delenv(SECRET)
    make_secret()
    made = secret()
    make_secret()
    assert secret() == made


def test_limits_are_numbers_of_known_names() -> None:
    assert limits({}) == PluginLimits()
    assert limits(None) == PluginLimits()
    assert limits({"live_views": {"max_blocks": 5, "max_view": 2}, "other": 1}) == PluginLimits(blocks=5, view=2)
    for given, message in (
        ({"max_view": 0}, "from 1 on"),
        ({"max_view": "4"}, "from 1 on"),
        ({"depth": 4}, "no setting"),
    ):
        with pytest.raises(ValueError, match=message):
            limits({"live_views": given})
