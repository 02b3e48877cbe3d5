"""What compose.yaml starts, started here without Docker: the same commands, settings, keys and health checks."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiomqtt
import httpx
import pytest
import yaml

from tests.deploy.services import DESCANT, ROOT, Services
from tests.vllm.server import PYTHON

QUESTION = "What is 12 times 7?"


@pytest.fixture
def services(tmp_path: Path) -> Services:
    return Services(tmp_path)


@pytest.mark.broker
def test_the_broker_takes_its_configuration_and_the_passwords(services: Services) -> None:
    with services.mosquitto():
        for user, secret in (("agent", "mqtt_password"), ("robot-R1", "robot_password")):
            assert enters(services.mqtt_port, user, (services.secrets / secret).read_text().strip())
        assert not enters(services.mqtt_port, "agent", "guessed")


@pytest.mark.broker
def test_the_processor_profile_answers_and_commands_a_robot(services: Services) -> None:
    (services.folder / "site.yaml").write_text(services.descant("descant-cpu", "robot", "map").stdout)
    with services.mosquitto(), simulated(services), services.server("descant-cpu", "--robot", "descant/R1"):
        answers(services, "descant-cpu")
        stopped = services.descant("descant-cpu", "robot", "stop", "--robot", "descant/R1")
        assert stopped.returncode == 0, stopped.stderr


@pytest.mark.vllm
@pytest.mark.timeout(1800)
def test_the_profile_with_a_language_model_server_answers(services: Services) -> None:
    """On the processor, with a small model in place of the one that the profile fetches."""
    if not PYTHON.exists():
        raise RuntimeError(f"{PYTHON} is not there: make vllm")
    with services.mosquitto(), services.vllm():
        models = httpx.get(services.here("http://vllm:8000/v1/models"), trust_env=False)
        assert models.status_code == httpx.codes.UNAUTHORIZED
        with services.server("descant-gpu"):
            answers(services, "descant-gpu")
            scraped(services, "vllm", "vllm:generation_tokens_total")


def answers(services: Services, name: str) -> None:
    """Ask as a client does, with the key and with another one, and look at what Prometheus looks at."""
    there = ("ask", "--server", services.here("ws://127.0.0.1:8765/v1"), "--api-key-file")
    asked = services.descant(name, *there, str(services.secrets / "api_key"), QUESTION)
    assert asked.returncode == 0, asked.stderr
    assert "84" in asked.stdout
    assert services.descant(name, *there, str(services.secrets / "vllm_key"), QUESTION).returncode == 1
    scraped(services, name, "descant_")


def scraped(services: Services, name: str, figure: str) -> None:
    """Read a service's figures as Prometheus is told to."""
    for job in yaml.safe_load((ROOT / "deploy/prometheus.yml").read_text())["scrape_configs"]:
        for target in job["static_configs"][0]["targets"]:
            if target.partition(":")[0] == name:
                key = Path(services.here(job["authorization"]["credentials_file"])).read_text().strip()
                url = services.here(f"http://{target}/metrics")
                told = httpx.get(url, headers={"Authorization": f"Bearer {key}"}, trust_env=False)
                assert figure in told.raise_for_status().text
                return
    raise AssertionError(f"nobody reads {name}")


@contextmanager
def simulated(services: Services) -> Iterator[None]:
    """Run a robot that enters with the password that was made for it."""
    robot = {
        "DESCANT_ROBOT__USER": "robot-R1",
        "DESCANT_ROBOT__PASSWORD_FILE": str(services.secrets / "robot_password"),
    }
    with subprocess.Popen(
        [*DESCANT, "robot", "simulate", "--robot", "descant/R1"],
        env={**services.environment("descant-cpu"), **robot},
        cwd=services.folder,
        stdout=subprocess.DEVNULL,
    ) as process:
        try:
            yield
        finally:
            process.terminate()


def enters(port: int, user: str, password: str) -> bool:
    async def connect() -> None:
        async with aiomqtt.Client("127.0.0.1", port, username=user, password=password, timeout=5):
            pass

    try:
        asyncio.run(connect())
    except aiomqtt.MqttError:
        return False
    return True
