"""The hub's small parts by themselves: clock, prices, rates, settings, timelines."""

from __future__ import annotations

from pathlib import Path

import pytest
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from opsconsole.domain.usage import Usage
from opsconsole.errors import ConfigError
from opsconsole.hub.clock import HubClock
from opsconsole.hub.listening import text_frame_head
from opsconsole.hub.rates import Bucket, Collapsed
from opsconsole.hub.settings import HubSettings
from opsconsole.hub.timeline import forward, newest, rows_of
from opsconsole.policy.prices import PriceList
from opsconsole_storage import Batch, MemoryStore
from tests.support.hub import running_hub


@pytest.mark.parametrize("size_bytes", [0, 125, 126, 65_535, 65_536])
def test_a_text_frame_of_any_length_reads_as_one_whole_frame(size_bytes: int) -> None:
    wire = StreamReader()
    wire.feed_data(text_frame_head(size_bytes) + b"x" * size_bytes)
    reading = Frame.parse(wire.read_exact, mask=False)
    with pytest.raises(StopIteration) as read:
        next(reading)
    frame = read.value.value
    assert (frame.opcode, frame.fin, len(frame.data), len(wire.buffer)) == (Opcode.TEXT, True, size_bytes, 0)


class Times:
    """Both clocks of a machine, set by the test."""

    wall = 1_000.0
    monotonic = 5.0


def test_the_clock_follows_monotonic_time_whatever_the_wall_does() -> None:
    times = Times()
    clock = HubClock(wall=lambda: times.wall, monotonic=lambda: times.monotonic)
    times.wall, times.monotonic = 1.0, 7.0
    assert clock.now() == 1_002.0


def test_the_clock_never_goes_below_what_storage_holds() -> None:
    times = Times()
    clock = HubClock(wall=lambda: times.wall, monotonic=lambda: times.monotonic)
    clock.not_before(5_000.0)
    clock.not_before(10.0)
    assert clock.now() == 5_000.0


async def test_the_price_list_is_read_before_the_hub_answers_anybody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    monkeypatch.setattr(PriceList, "load", lambda _self: read.append("the list"))
    async with running_hub(tmp_path):
        assert read == ["the list"]


def test_a_known_model_is_priced_by_its_base_rates() -> None:
    prices = PriceList()
    assert prices("openai", "gpt-4o", Usage(input_tokens=1_000_000)) == pytest.approx(2.5)
    assert prices("", "gpt-4o", Usage(output_tokens=1_000_000)) == pytest.approx(10.0)


def test_cached_input_is_cheaper_and_part_of_the_input() -> None:
    usage = Usage(input_tokens=1_000_000, cache_read_tokens=1_000_000)
    assert PriceList()("", "claude-sonnet-4-5", usage) == pytest.approx(0.30)


def test_many_short_turns_are_not_billed_as_one_long_request() -> None:
    prices = PriceList()
    one, many = (prices("", "claude-sonnet-4-5", Usage(input_tokens=tokens)) for tokens in (1_000, 10_000_000))
    assert one is not None
    assert many == pytest.approx(one * 10_000)


def test_an_unknown_model_has_no_price_rather_than_none_to_pay() -> None:
    assert PriceList()("", "a-model-that-nobody-sells", Usage(input_tokens=1)) is None


def test_an_unknown_provider_does_not_hide_a_known_model() -> None:
    assert PriceList()("my-proxy", "gpt-4o", Usage(input_tokens=1_000_000)) == pytest.approx(2.5)


def test_a_bucket_lets_a_burst_pass_and_then_says_how_early_one_is() -> None:
    bucket = Bucket(10.0, 2.0, at=100.0)
    assert [bucket.take(1.0, 100.0) for _ in range(20)] == [0.0] * 20
    assert bucket.take(1.0, 100.0) == pytest.approx(0.1)
    assert bucket.take(1.0, 102.2) == 0.0


def test_equal_facts_are_told_once_and_then_counted() -> None:
    told = Collapsed(60.0, keys_max=10)
    assert [told.admit(("refused", "here"), 0.0) for _ in range(5)] == [True, False, False, False, False]
    assert (told.ended(59.0), told.ended(60.0)) == ([], [(("refused", "here"), 4)])
    assert told.admit(("refused", "here"), 61.0)


def test_too_many_different_facts_are_counted_together() -> None:
    told = Collapsed(60.0, keys_max=2)
    admitted = [told.admit(("refused", str(number)), 0.0) for number in range(100)]
    assert sum(admitted) == 3
    assert dict(told.ended(60.0)) == {("refused",): 97}


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "example.org", "localhost.example.org", ""])
def test_everything_else_is_reachable_from_elsewhere(host: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="insecure-bind"):
        HubSettings(data_dir=tmp_path, host=host).check()


def test_a_certificate_or_an_explicit_word_allows_other_machines(tmp_path: Path) -> None:
    pem = tmp_path / "x.pem"
    pem.touch()
    HubSettings(data_dir=tmp_path, host="10.0.0.1", tls_cert=pem, tls_key=pem).check()
    HubSettings(data_dir=tmp_path, host="10.0.0.1", insecure_bind=True).check()


def test_a_certificate_needs_its_key(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--tls-key"):
        HubSettings(data_dir=tmp_path, tls_cert=tmp_path / "cert.pem").check()


async def filled(batches: int, *, others_between: int = 0) -> MemoryStore:
    """A store with batches of two events of `mine`, and those of other runs between them."""
    store = MemoryStore()
    for number in range(batches):
        body = b'[{"seq":%d},{"seq":%d}]' % (2 * number + 1, 2 * number + 2)
        store.events.publish(Batch(run="mine", gen="g", first_seq=2 * number + 1, count=2, at=9.0, body=body))
        for _ in range(others_between):
            store.events.publish(Batch(run="other", gen="g", first_seq=1, count=1, at=0.0, body=b"[{}]"))
    return store


async def test_the_newest_events_are_found_however_far_back_they_lie() -> None:
    store = await filled(10, others_between=700)
    found = await newest(store.events, "mine", limit=5)
    assert [stored.batch.first_seq for stored in found] == [15, 17, 19]


async def test_the_newest_before_a_position_end_there() -> None:
    store = await filled(10)
    assert [stored.position for stored in await newest(store.events, "mine", limit=4, before=6)] == [4, 5]


async def test_a_run_without_events_has_none() -> None:
    assert await newest((await filled(3)).events, "nobody", limit=5) == []


async def test_reading_forwards_gives_whole_batches() -> None:
    store = await filled(10)
    assert [stored.position for stored in await forward(store.events, "mine", after=2, limit=3)] == [3, 4]


async def test_a_row_of_the_timeline_says_where_its_event_stands() -> None:
    (stored,) = await (await filled(1)).events.read(0, 1)
    assert [row.text for row in rows_of(stored)] == [
        '{"position":1,"gen":"g","at":9.0,"event":{"seq":1}}',
        '{"position":1,"gen":"g","at":9.0,"event":{"seq":2}}',
    ]
