"""Live views for vLLM: a request whose attention also reads the growing caches of other requests.

A package of its own, installed as `vllm_live_views` into the environment of a server (docs/live-views.md); nothing of
Descant imports it, and it imports nothing of Descant. `names` and `blocks` know no vLLM, `attention` and `paged` only
torch; `scheduler`, `runner` and `backend` are the parts that vLLM is extended by.
"""
