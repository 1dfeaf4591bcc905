"""What pictures, sounds and files count as before their provider has told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from opsconsole.gateway.dialect.interface import Media, Request
from opsconsole.gateway.media_tokens import MEDIA_TOKENS_MAX, Weighed, weighed
from opsconsole.gateway.told import estimated, input_tokens, reserved
from opsconsole.policy.prices import PriceList

MIB = 1_048_576


def request(*media: Media, model: str = "gpt-4o", dialect: str = "openai.chat", words: int = 400) -> Request:
    raw = b"x" * (words + sum(part.chars for part in media))
    return Request(dialect=dialect, model=model, streams=False, body={}, raw=raw, media=media)


def picture(chars: int = MIB, detail: str = "") -> Media:
    return Media(kind="picture", chars=chars, detail=detail)


@pytest.mark.parametrize(
    ("model", "dialect", "tokens"),
    [
        ("gpt-4o", "openai.chat", 4_096),
        ("ft:gpt-4o-mini:acme", "openai.chat", 48_200),
        ("openai/gpt-5-mini", "openai.responses", 4_096),
        ("o4-mini", "openai.chat", 4_096),
        ("gpt-9", "openai.chat", 16_384),
        ("qwen3-vl", "openai.chat", 16_384),
        ("claude-opus-4-7", "anthropic.messages", 4_800),
    ],
)
def test_a_picture_counts_as_the_most_that_its_model_makes_of_one(model: str, dialect: str, tokens: int) -> None:
    assert input_tokens(request(picture(), model=model, dialect=dialect)) == 100 + tokens


def test_an_original_counts_as_more() -> None:
    assert input_tokens(request(picture(detail="original"), model="gpt-5.2")) == 100 + 16_384


def test_a_picture_that_is_only_named_counts_as_much() -> None:
    assert input_tokens(request(picture(chars=0))) == 100 + 4_096


def test_a_minute_of_sound_counts_as_no_less_than_it_takes() -> None:
    telephone = Media(kind="sound", chars=60 * 8_000 * 4 // 3, format="wav")
    thin = Media(kind="sound", chars=60 * 1_000 * 4 // 3, format="mp3")
    tokens = [weighed(request(part, model="gpt-4o-audio-preview")).sound_tokens for part in (telephone, thin)]
    assert tokens == [1_200, 600]


def test_sound_is_reserved_at_its_own_price() -> None:
    heard = request(Media(kind="sound", chars=MIB, format="mp3"), model="gpt-audio")
    as_words = replace(heard, media=(), raw=b"x" * 4 * input_tokens(heard))
    dollars = [reserved(one, "openai", PriceList(), answer_tokens=0).usd or 0.0 for one in (heard, as_words)]
    assert dollars[0] > 10 * dollars[1] > 0.0


def test_a_file_counts_by_its_bytes_and_as_a_page_at_least() -> None:
    assert input_tokens(request(Media(kind="file", chars=400_000))) == 100 + 100_000
    assert input_tokens(request(Media(kind="file", chars=40))) == 100 + 5_000


def test_all_of_a_request_counts_as_no_more_than_a_context_holds() -> None:
    files = [Media(kind="file", chars=8 * MIB)] * 3
    assert weighed(request(*files)) == Weighed(chars=24 * MIB, tokens=MEDIA_TOKENS_MAX, sound_tokens=0)


def test_what_a_cut_answer_is_thought_to_have_used_knows_its_pictures() -> None:
    assert estimated(request(picture(30 * MIB))).input_tokens == 100 + 4_096
