from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.costs.ledger import MeterReading, PowerModel
from agent.costs.options import CostOptions
from agent.costs.sharing import ServerAccount, SharedLedger
from agent.errors import ConfigError
from tests.agent.realtime.fakes import FakeModels, Halting, Script24, served
from tests.reasoning.scripted_engine import END

MODEL = PowerModel(2.0)


def at(cpu_s: float) -> MeterReading:
    return MeterReading(cpu_s)


def test_what_is_spent_while_two_are_made_is_borne_by_halves_and_while_none_is_by_nobody() -> None:
    ledger = SharedLedger(MODEL)
    ledger.begin("a", at(5))
    ledger.begin("b", at(6))
    first = ledger.end("a", at(10))
    assert first is not None
    assert (first.cpu_s, first.joules, first.measured) == (3, 6, False)
    second = ledger.end("b", at(11))
    assert second is not None
    assert second.cpu_s == 3
    ledger.begin("c", at(100))
    third = ledger.end("c", at(101))
    assert third is not None
    assert third.cpu_s == 1
    assert ledger.end("c", at(102)) is None


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans(), st.floats(0, 10)), max_size=30))
def test_the_parts_add_up_to_what_was_spent(steps: list[tuple[str, bool, float]]) -> None:
    ledger, now_s = SharedLedger(MODEL), 0.0
    ledger.begin("always", at(0))
    parts = []
    for name, begins, passed_s in steps:
        now_s += passed_s
        if begins:
            ledger.begin(name, MeterReading(now_s, package_j=3 * now_s, gpu_j=now_s))
        else:
            parts.append(ledger.end(name, MeterReading(now_s, package_j=3 * now_s, gpu_j=now_s)))
    end = MeterReading(now_s, package_j=3 * now_s, gpu_j=now_s)
    parts += [ledger.end(name, end) for name in ("a", "b", "c", "always")]
    assert sum(part.cpu_s for part in parts if part) == pytest.approx(now_s)


async def test_a_client_is_told_what_its_response_cost_where_the_server_says_so() -> None:
    spent = iter(range(0, 1000, 10))
    account = ServerAccount(CostOptions(site="spain", in_usage=True), lambda: at(next(spent)))
    async with served(FakeModels(account=account)) as one, one.client() as client:
        done = await client.ask("What is 3 times 8?")
        cost = done["usage"]["cost"]
        assert cost["tokens"]["thinker"] > 0
        assert cost["tokens"]["writer"] + cost["tokens"]["thinker"] == done["usage"]["output_tokens"]
        assert (cost["processor_s"], cost["joules"], cost["joules_estimated"]) == (10, 35, True)
        assert (cost["site"], cost["currency"]) == ("spain", "EUR")
        assert min(cost["co2e_g"], cost["water_ml"], cost["money"]) > 0
        before = Counter(account.tokens)
        again = await client.ask("What is 3 times 8?")
        assert account.tokens - before == Counter(again["usage"]["cost"]["tokens"])
        figures = one.server.meters.text().decode()
        assert f'descant_tokens_total{{role="thinker"}} {account.tokens["thinker"]}.0' in figures


async def test_clients_of_other_servers_are_told_tokens_alone_and_the_server_counts_them_by_role() -> None:
    async with served() as one, one.client() as client:
        done = await client.ask("What is 3 times 8?")
        assert "cost" not in done["usage"]
        figures = one.server.meters.text().decode()
        assert 'descant_tokens_total{role="writer"}' in figures


async def test_a_response_that_is_cancelled_or_whose_client_goes_is_over_in_the_account() -> None:
    ledger = SharedLedger(MODEL)
    account = ServerAccount(CostOptions(in_usage=True), lambda: at(0))
    account._ledger = ledger
    long = Script24(small_talk=True, at_once=lambda _: f"{'One two three four five. ' * 20}{END}")
    voice = Halting()
    async with served(FakeModels(long, voice=voice, account=account)) as one:
        async with one.client() as client:
            await client.write("Hello.")
            await client.send("response.create")
            await client.until("response.output_audio.delta")
            assert len(ledger._parts) == 1
            await client.send("response.cancel")
            assert (await client.until("response.done"))["response"]["status"] == "cancelled"
            assert not ledger._parts
            await client.send("response.create")
            await client.until("response.created")
            assert len(ledger._parts) == 1
        voice.may_go.set()
    assert not ledger._parts


def test_a_site_that_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigError, match="atlantis"):
        ServerAccount(CostOptions(site="atlantis", in_usage=True))
