"""The attention's part: vLLM's backend for processors, whose readers look back over other blocks as well.

The stock kernel computes the whole batch as ever, so that ordinary rows have the very bits that they have without
this; the readers' rows are computed again over all that they read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from vllm.v1.attention.backends.cpu_attn import CPUAttentionBackend, CPUAttentionBackendImpl

from .attention import Kernel, view_attention
from .checks import Unsupported
from .paged import kernel

if TYPE_CHECKING:
    import torch

LAYOUT: Final = "vec"
"""vLLM's name for pages with keys as [width, page]."""


class LiveViewCPUBackend(CPUAttentionBackend):
    """Stands in for vLLM's own under its name."""

    @staticmethod
    def get_impl_cls() -> type[CPUAttentionBackendImpl]:
        """Give the class of the layers' implementations."""
        return LiveViewCPUImpl


class LiveViewCPUImpl(CPUAttentionBackendImpl):
    """One layer's attention."""

    halves: bool = True
    """How the model pairs what it rotates; set when the model is loaded."""
    kernel: Kernel = staticmethod(kernel())

    def forward(  # noqa: PLR0917 - vLLM's signature
        self,
        layer: Any,  # noqa: ANN401
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        kv_cache: torch.Tensor,
        attn_metadata: Any,  # noqa: ANN401
        output: torch.Tensor,
        output_scale: torch.Tensor | None = None,
        output_block_scale: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Attend; by now the keys of the whole batch are in the cache, so that readers see this step's too."""
        super().forward(layer, query, key, value, kv_cache, attn_metadata, output, output_scale, output_block_scale)
        plan = getattr(attn_metadata, "live_views", None)
        if plan is not None:
            k, v = paged_views(kv_cache, layer.isa)
            read = view_attention(self.kernel, query[plan.tokens], k, v, plan, scale=self.scale, halves=self.halves)
            output[plan.tokens] = read.to(output.dtype)
        return output


def paged_views(kv_cache: torch.Tensor, layout: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Show a cache [pages, heads, page, 2 · width] as keys and values [pages, page, heads, width].

    A page holds all keys of a head, then all values; the keys lie as [width, page].
    """
    if layout != LAYOUT:
        raise Unsupported(
            f"live views do not know the cache layout {layout!r}; use float32, or a processor without AMX, with a "
            "--block-size that 32 divides"
        )
    pages, heads, page, both = kv_cache.shape
    width = both // 2
    k, v = kv_cache.view(pages, heads, 2, page * width).unbind(2)
    # Either half is contiguous within a head, so that these are views.
    return k.view(pages, heads, width, page).permute(0, 3, 1, 2), v.view(pages, heads, page, width).permute(0, 2, 1, 3)
