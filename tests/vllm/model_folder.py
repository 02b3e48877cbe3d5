"""Makes a model folder, as vLLM wants one, from a GGUF file by dequantising it: python model_folder.py FROM TO.

Run by `make vllm` in the environment of vLLM, which has what it takes.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig


def make(file: Path, folder: Path) -> None:
    """Write weights in bfloat16, configuration, vocabulary and chat template."""
    tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    model = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.bfloat16)
    # Nothing in the folder may say that the weights are quantised, as they no longer are.
    model.hf_quantizer = None  # type: ignore[assignment]
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    ends = {"eos_token_id": tokenizer.eos_token_id, "bos_token_id": tokenizer.bos_token_id}
    model.generation_config = GenerationConfig(**ends)  # type: ignore[no-untyped-call]
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


if __name__ == "__main__":
    make(next(Path(sys.argv[1]).glob("*.gguf")), Path(sys.argv[2]))
