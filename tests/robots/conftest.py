from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.robots.stage.mosquitto import PROGRAM, Mosquitto

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def broker_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificates and passwords, made once."""
    if shutil.which(PROGRAM) is None:
        pytest.skip("needs the broker: apt-get install mosquitto")
    broker = Mosquitto(tmp_path_factory.mktemp("mosquitto"))
    broker.prepare()
    return broker.folder


@pytest.fixture
def mosquitto(broker_files: Path, tmp_path: Path) -> Iterator[Mosquitto]:
    """A fresh broker."""
    shutil.copytree(broker_files, tmp_path / "broker")
    broker = Mosquitto(tmp_path / "broker")
    broker.configure()
    broker.start()
    yield broker
    if broker.process is not None and broker.process.poll() is None:
        broker.kill()
