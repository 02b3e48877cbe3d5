"""What the manifests say of the server is true of it; their form is the business of `make check-kubernetes`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
import yaml

from agent.cli.main import app
from agent.config.settings import load
from agent.realtime.server.meters import Meters

if TYPE_CHECKING:
    import pytest

FOLDER = Path(__file__).parents[2] / "deploy" / "kubernetes"
OBJECTS: dict[tuple[str, str], dict[str, Any]] = {
    (each["kind"], each["metadata"]["name"]): each
    for file in sorted(FOLDER.glob("*.yaml"))
    for each in yaml.safe_load_all(file.read_text(encoding="utf-8"))
}
POD = OBJECTS["Deployment", "descant"]["spec"]["template"]["spec"]
(SERVER,) = POD["containers"]


def test_the_command_and_the_settings_of_the_server_are_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    command, *arguments = SERVER["args"]
    group = typer.main.get_command(app)
    assert isinstance(group, typer.core.TyperGroup)
    parsed = group.commands[command].make_context(command, list(arguments)).params
    (secrets,) = (mount["mountPath"] for mount in SERVER["volumeMounts"] if mount["name"] == "secrets")
    assert str(parsed["api_key_file"]).startswith(f"{secrets}/")
    for variable in SERVER["env"]:
        monkeypatch.setenv(variable["name"], variable["value"])
    settings = load().settings
    assert settings.server.busy_status
    assert str(settings.store.password_file).startswith(f"{secrets}/")
    host, port = settings.store.url.removeprefix("redis://").removesuffix("/0").split(":")
    assert OBJECTS["Service", host]["spec"]["ports"][0]["port"] == int(port)
    # The drain ends before the pod is killed, and begins when nobody is sent there any more.
    wait_s = int(SERVER["lifecycle"]["preStop"]["exec"]["command"][1])
    assert POD["terminationGracePeriodSeconds"] > wait_s + settings.server.drain_s + 5
    probe = SERVER["readinessProbe"]
    assert probe["httpGet"]["path"] == "/readyz"
    assert wait_s >= probe["periodSeconds"]


def test_pods_are_added_by_figures_that_there_are_where_places_are_taken() -> None:
    scaled = OBJECTS["HorizontalPodAutoscaler", "descant"]["spec"]
    assert scaled["scaleTargetRef"]["name"] == "descant"
    (metric,) = scaled["metrics"]
    rules = yaml.safe_load(OBJECTS["ConfigMap", "descant-adapter-rules"]["data"]["config.yaml"])["rules"]
    (rule,) = (rule for rule in rules if rule["name"]["as"] == metric["pods"]["metric"]["name"])
    told = Meters(lambda: 6, lambda: 2).text().decode()
    names = set(re.findall(r"\bdescant_sessions\w*", rule["metricsQuery"]))
    assert names == {"descant_sessions", "descant_sessions_free"}
    values = {name: re.search(rf"^{name} (\S+)$", told, re.MULTILINE) for name in names}
    query = rule["metricsQuery"]
    for name in sorted(names, key=len, reverse=True):
        found = values[name]
        assert found is not None
        query = query.replace(f"sum({name}{{<<.LabelMatchers>>}}) by (<<.GroupBy>>)", found[1])
    assert eval(query) == 75  # noqa: S307 - the rule's own arithmetic, with numbers in place


def test_labels_lead_to_the_pods_that_they_are_meant_for() -> None:
    for (kind, name), each in OBJECTS.items():
        selected = {
            "Deployment": lambda spec: spec["selector"]["matchLabels"],
            "Service": lambda spec: spec["selector"],
            "PodDisruptionBudget": lambda spec: spec["selector"]["matchLabels"],
            "NetworkPolicy": lambda spec: spec["podSelector"]["matchLabels"],
        }.get(kind)
        if selected is not None:
            pods = OBJECTS["Deployment", name]["spec"]["template"]
            assert selected(each["spec"]).items() <= pods["metadata"]["labels"].items()
            assert pods["spec"]["securityContext"]["runAsNonRoot"]
            for container in pods["spec"]["containers"]:
                assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
                assert not container["image"].endswith(":latest")
