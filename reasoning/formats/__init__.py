"""Model files: GGUF, safetensors, quantised weights."""
