from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest
import typer
import yaml

from agent.cli.main import app
from agent.config.settings import load
from agent.realtime.server.meters import Meters
from deploy import make_secrets
from tests.deploy.services import COMPOSE, ROOT, SERVICES

ONCE = {"volumes", "fetch"}
LASTING = sorted(SERVICES.keys() - ONCE)
DESCANT = ["descant-cpu", "descant-gpu", "descant-router"]
SERVED_BY = {"descant-gpu": ["vllm"], "descant-router": ["vllm-one", "vllm-two"]}


@pytest.mark.parametrize("name", LASTING)
def test_a_service_that_lasts_is_restarted_watched_and_without_rights(name: str) -> None:
    service = SERVICES[name]
    assert service["restart"] == "unless-stopped"
    assert service["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert service["user"].split(":")[0] not in {"", "0", "root"}


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_service_is_pinned_and_what_it_names_is_there(name: str) -> None:
    service = SERVICES[name]
    assert re.fullmatch(r"[\w./-]+:[\w.-]+", service["image"])
    assert not service["image"].endswith(":latest")
    assert set(service.get("secrets", [])) <= set(COMPOSE["secrets"])
    for mount in service.get("volumes", []):
        source = re.sub(r"\$\{\w+:-(.*?)\}", r"\1", mount).split(":")[0]
        assert (ROOT / source).exists() if source.startswith(".") else source in COMPOSE["volumes"]
    for port in service.get("ports", []):
        assert port.startswith("127.0.0.1:"), "nothing is open to others unless somebody says so"


def test_a_secret_is_where_it_is_needed_and_nowhere_else() -> None:
    used = {name: set(re.findall(r"/run/secrets/(\w+)", json.dumps(service))) for name, service in SERVICES.items()}
    used["mosquitto"] |= set(re.findall(r"/run/secrets/(\w+)", (ROOT / "deploy/mosquitto.conf").read_text()))
    used["prometheus"] |= set(re.findall(r"/run/secrets/(\w+)", (ROOT / "deploy/prometheus.yml").read_text()))
    assert {name: set(service.get("secrets", [])) for name, service in SERVICES.items()} == used


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_what_a_service_waits_for_starts_with_it_and_can_be_waited_for(name: str) -> None:
    for other, how in SERVICES[name].get("depends_on", {}).items():
        assert set(SERVICES[name]["profiles"]) <= set(SERVICES[other]["profiles"])
        wanted = "service_completed_successfully" if other in ONCE else "service_healthy"
        assert how["condition"] == wanted


@pytest.mark.parametrize("name", DESCANT)
def test_the_command_and_the_settings_of_the_server_are_understood(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    service = SERVICES[name]
    command, *arguments = service["command"]
    group = typer.main.get_command(app)
    assert isinstance(group, typer.core.TyperGroup)
    parsed = group.commands[command].make_context(command, list(arguments)).params
    assert parsed["host"] == "0.0.0.0"  # noqa: S104 - inside its own network
    assert parsed["api_key_file"] == Path("/run/secrets/api_key")
    for variable, value in service["environment"].items():
        monkeypatch.setenv(variable, value)
    settings = load().settings
    assert settings.robot.broker == "mosquitto:1883"
    assert settings.robot.password_file == Path("/run/secrets/mqtt_password")
    if name in SERVED_BY:
        (waited_for,) = service["depends_on"].keys() - {"volumes", "mosquitto"}
        assert (parsed["engine"], parsed["server"]) == ("vllm", f"http://{waited_for}:8000")
        assert settings.vllm.api_key_file == Path("/run/secrets/vllm_key")
        for server in SERVED_BY[name]:
            (room,) = (word for word in SERVICES[server]["command"] if word.startswith("--max-model-len="))
            assert int(room.partition("=")[2]) > settings.engine.context


def test_the_router_is_the_one_that_is_tested_and_knows_servers_of_its_profile_with_a_card_each() -> None:
    service = SERVICES["router"]
    version = service["image"].partition(":")[2]
    assert f"vllm-router=={version}" in (ROOT / "deploy" / service["build"]["dockerfile"]).read_text(encoding="utf-8")
    assert f"ROUTER_VERSION := {version}\n" in (ROOT / "Makefile").read_text(encoding="utf-8")
    urls = service["command"][service["command"].index("--worker-urls") + 1 :]
    servers = [url.removeprefix("http://").removesuffix(":8000") for url in urls]
    assert servers == SERVED_BY["descant-router"] == sorted(service["depends_on"])
    assert all(SERVICES[server]["profiles"] == service["profiles"] for server in servers)
    cards = [SERVICES[one]["deploy"]["resources"]["reservations"]["devices"][0]["device_ids"] for one in servers]
    assert cards == [["0"], ["1"]]


def test_prometheus_asks_services_that_there_are_with_keys_that_it_has() -> None:
    scraped = yaml.safe_load((ROOT / "deploy/prometheus.yml").read_text())["scrape_configs"]
    for job in scraped:
        for target in job["static_configs"][0]["targets"]:
            assert target.partition(":")[0] in SERVICES
        assert Path(job["authorization"]["credentials_file"]).name in SERVICES["prometheus"]["secrets"]


def test_the_dashboard_shows_figures_that_there_are() -> None:
    dashboard = json.loads((ROOT / "deploy/grafana/descant.json").read_text())
    shown = " ".join(target["expr"] for panel in dashboard["panels"] for target in panel["targets"])
    told = Meters(lambda: 0).text().decode()
    names = set(re.findall(r"\bdescant_\w+", shown))
    assert len(names) >= 5
    for name in names:
        # A figure with labels has no line before it is first counted; its family has.
        assert re.search(rf"^# TYPE {re.sub('(_bucket)$', '', name)} ", told, re.MULTILINE), name


def test_secrets_are_made_once(tmp_path: Path) -> None:
    make_secrets.make(tmp_path)
    made = {path.name: path.read_text() for path in tmp_path.iterdir()}
    named = {Path(secret["file"]).name for secret in COMPOSE["secrets"].values()}
    assert named <= made.keys()
    assert len(set(made.values())) == len(made)
    (tmp_path / "api_key").unlink()
    make_secrets.make(tmp_path)
    again = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert {name for name in made if made[name] != again[name]} == {"api_key"}


def test_the_image_has_what_builds_its_kernels_and_no_compiler_at_last() -> None:
    text = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")
    _, build, image = re.split(r"^FROM .*$", text, flags=re.MULTILINE)
    copied = {path for line in re.findall(r"^COPY (?!--)(.*)$", build, re.MULTILINE) for path in line.split()[:-1]}
    assert all((ROOT / path).exists() for path in copied)
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]["targets"]
    hook = {wanted["wheel"]["hooks"]["custom"]["path"], "deploy/old_glibc.py", "deploy/wheel-requirements.txt"}
    assert hook <= copied
    assert hook <= set(wanted["sdist"]["include"])
    assert set(wanted["wheel"]["packages"]) <= copied
    assert "DESCANT_KERNELS" in build
    assert "gcc" not in image
