# vLLM's own router, for the service `router` of compose.yaml.
FROM python:3.12-slim-bookworm
RUN useradd --uid 10001 --no-create-home router && pip install --no-cache-dir vllm-router==0.1.17
USER router
EXPOSE 8000
ENTRYPOINT ["vllm-router"]
