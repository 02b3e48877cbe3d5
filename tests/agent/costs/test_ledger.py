from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import threading
import time
from pathlib import Path

import pytest

from agent.costs.account import Account
from agent.costs.ledger import CostLedger, MeterReading, PowerModel, spent
from agent.costs.meters import MachineMeters, Nvml, Rapl
from agent.costs.options import CostOptions
from agent.costs.site import shipped_sites
from agent.realtime.server.meters import Meters

STAND_IN = """
int nvmlInit_v2(void) { return 0; }
int nvmlDeviceGetCount_v2(unsigned *n) { *n = 2; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned i, void **d) { *d = (void *)(long)(i + 1); return 0; }
int nvmlDeviceGetTotalEnergyConsumption(void *d, unsigned long long *mj) { *mj = 1500 * (long)d; return 0; }
"""


def zone(root: Path, name: str, energy: int) -> None:
    (root / name).mkdir(exist_ok=True)
    (root / name / "energy_uj").write_text(f"{energy}\n")
    (root / name / "max_energy_range_uj").write_text("10000000\n")


def test_packages_are_added_and_parts_of_them_are_not(tmp_path: Path) -> None:
    for name in ("intel-rapl:0", "intel-rapl:1", "intel-rapl:0:0"):
        zone(tmp_path, name, 1_000_000)
    rapl = Rapl(tmp_path)
    assert rapl.joules() == 0
    for name in ("intel-rapl:0", "intel-rapl:1", "intel-rapl:0:0"):
        zone(tmp_path, name, 3_000_000)
    assert rapl.joules() == pytest.approx(4)


def test_a_counter_that_begins_anew_goes_on(tmp_path: Path) -> None:
    zone(tmp_path, "intel-rapl:0", 9_000_000)
    rapl = Rapl(tmp_path)
    rapl.joules()
    zone(tmp_path, "intel-rapl:0", 1_000_000)
    assert rapl.joules() == pytest.approx(2)


def test_a_meter_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    assert Rapl(tmp_path).joules() is None
    zone(tmp_path, "intel-rapl:0", 1)
    (tmp_path / "intel-rapl:0" / "energy_uj").write_text("what")
    assert Rapl(tmp_path).joules() is None
    assert Nvml("libno-such-library.so.1").joules() is None


@pytest.mark.skipif(shutil.which("gcc") is None, reason="no compiler")
def test_the_energy_of_all_gpus_is_added(tmp_path: Path) -> None:
    (tmp_path / "nvml.c").write_text(STAND_IN)
    library = tmp_path / "libnvml-stand-in.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", str(library), str(tmp_path / "nvml.c")], check=True)  # noqa: S607
    assert Nvml(str(library)).joules() == pytest.approx(4.5)


def test_the_processors_time_is_that_of_the_process(tmp_path: Path) -> None:
    meters = MachineMeters(Rapl(tmp_path))
    before, reference = meters.read(), time.process_time()
    while time.process_time() - reference < 0.05:
        pass
    assert 0.05 <= meters.read().cpu_s - before.cpu_s < 0.5


def kernel_s() -> float:
    """Seconds of processor of this process, as the kernel has them: fields 14 and 15 of its `stat`."""
    fields = Path("/proc/self/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_the_seconds_of_a_line_are_those_that_the_kernel_counts_for_all_threads() -> None:
    account, before_s = Account(CostOptions()), kernel_s()
    account.begin()
    block = bytes(2**20)

    def work() -> None:
        began_s = time.thread_time()
        while time.thread_time() - began_s < 0.3:
            hashlib.sha256(block).digest()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told = re.search(r"(\d+\.\d) s of processor.*?(\d+\.\d) J", account.line())
    assert told is not None
    # The line has tenths, the kernel ticks.
    assert float(told[1]) == pytest.approx(kernel_s() - before_s, abs=0.08)
    assert float(told[1]) >= 0.6


def test_joules_are_measured_where_there_is_a_meter_and_called_an_estimate_else() -> None:
    model = PowerModel(3.5)
    measured = spent(MeterReading(1, 10, 5), MeterReading(3, 30, 8), model)
    assert (measured.joules, measured.measured) == (23, True)
    estimated = spent(MeterReading(1), MeterReading(3), model)
    assert (estimated.joules, estimated.measured, estimated.cpu_s) == (7, False, 2)


def test_the_line_adds_turns_and_tells_the_sites_part() -> None:
    ledger = CostLedger(PowerModel(3.5), MeterReading(0))
    ledger.turn({"thinker": 40, "writer": 10, "dropped": 7})
    ledger.turn({"writer": 5, "probe": 2})
    line = ledger.line(MeterReading(10), shipped_sites()["spain"], 12)
    assert line.startswith("cost of 2 turns: 10.0 s of processor, tokens: 40 thinker, 15 writer, 2 probe, 7 dropped; ")
    assert "35.0 J (estimated at 3.5 W a busy core); spain: 0.00127 g CO2e, " in line
    assert "\n" not in line
    assert "CO2e" not in ledger.line(MeterReading(10), None, 12)


def test_the_server_tells_joules_where_there_is_a_meter_and_none_else(tmp_path: Path) -> None:
    without = Meters(lambda: 0)
    without.watch_machine(MachineMeters(Rapl(tmp_path), Nvml("libno-such-library.so.1")))
    assert b"descant_processor_seconds_total " in without.text()
    assert b"descant_joules_total{" not in without.text()
    zone(tmp_path, "intel-rapl:0", 1_000_000)
    metered = Meters(lambda: 0)
    rapl = Rapl(tmp_path)
    rapl.joules()
    metered.watch_machine(MachineMeters(rapl, Nvml("libno-such-library.so.1")))
    zone(tmp_path, "intel-rapl:0", 3_000_000)
    assert b'descant_joules_total{part="processor"} 2.0' in metered.text()
    assert b'part="gpu"' not in metered.text()
