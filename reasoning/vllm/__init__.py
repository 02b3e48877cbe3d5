"""The engine over vLLM servers."""
