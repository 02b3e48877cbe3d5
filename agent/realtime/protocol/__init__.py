"""The OpenAI Realtime protocol, sans I/O."""
