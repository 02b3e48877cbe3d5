"""The engine against a real vLLM on the processor; see docs/vllm.md."""
