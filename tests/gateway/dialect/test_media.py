"""The pictures, sounds and files of a request: found where each API carries them, and nowhere else."""

from __future__ import annotations

import json
from typing import Any

import pytest

from opsconsole.gateway.dialect.dialects import DIALECTS
from opsconsole.gateway.dialect.interface import Media

URL = "data:image/png;base64," + "A" * 40
BASE64 = {"type": "base64", "media_type": "image/png", "data": "A" * 40}


def media(dialect: str, **body: Any) -> tuple[Media, ...]:
    return DIALECTS[dialect].read(json.dumps({"model": "m", **body}).encode()).media


def user(*parts: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [{"type": "text", "text": "Look"}, *parts]}]


CHAT = {
    "a picture": ({"type": "image_url", "image_url": {"url": URL}}, Media(kind="picture", chars=62)),
    "a picture in short": ({"type": "image_url", "image_url": URL}, Media(kind="picture", chars=62)),
    "a picture that is named": (
        {"type": "image_url", "image_url": {"url": "https://127.0.0.1/a.png", "detail": "low"}},
        Media(kind="picture", detail="low"),
    ),
    "a sound": (
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
        Media(kind="sound", chars=4, format="wav"),
    ),
    "a file": ({"type": "file", "file": {"file_data": URL, "filename": "a"}}, Media(kind="file", chars=62)),
    "a file that is named": ({"type": "file", "file": {"file_id": "file-1"}}, Media(kind="file")),
}


@pytest.mark.parametrize("name", list(CHAT))
def test_media_of_chat_completions_are_found(name: str) -> None:
    part, found = CHAT[name]
    assert media("openai.chat", messages=user(part)) == (found,)


RESPONSES = {
    "a picture": (user({"type": "input_image", "image_url": URL, "detail": "high"})[0], "picture", 62),
    "a file": (user({"type": "input_file", "file_data": URL})[0], "file", 62),
    "a file that is named": (user({"type": "input_file", "file_url": "https://127.0.0.1/a.pdf"})[0], "file", 0),
    "a picture in a result": (
        {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_image", "image_url": URL}]},
        "picture",
        62,
    ),
    "a screenshot": (
        {"type": "computer_call_output", "call_id": "c", "output": {"type": "computer_screenshot", "image_url": URL}},
        "picture",
        62,
    ),
    "a generated picture": ({"type": "image_generation_call", "id": "i", "result": "A" * 40}, "picture", 40),
}


@pytest.mark.parametrize("name", list(RESPONSES))
def test_media_of_responses_are_found(name: str) -> None:
    item, kind, chars = RESPONSES[name]
    assert [(one.kind, one.chars) for one in media("openai.responses", input=[item])] == [(kind, chars)]


ANTHROPIC = {
    "a picture": ({"type": "image", "source": BASE64}, [("picture", 40)]),
    "a picture that is named": (
        {"type": "image", "source": {"type": "url", "url": "https://127.0.0.1/a"}},
        [("picture", 0)],
    ),
    "a picture in a result": (
        {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "image", "source": BASE64}]},
        [("picture", 40)],
    ),
    "a document": ({"type": "document", "source": BASE64}, [("file", 40)]),
    "a document that is text": (
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "words"}},
        [],
    ),
    "a document of blocks": (
        {"type": "document", "source": {"type": "content", "content": [{"type": "image", "source": BASE64}]}},
        [("picture", 40)],
    ),
}


@pytest.mark.parametrize("name", list(ANTHROPIC))
def test_media_of_messages_are_found(name: str) -> None:
    part, found = ANTHROPIC[name]
    read = media("anthropic.messages", max_tokens=9, messages=user(part))
    assert [(one.kind, one.chars) for one in read] == found


def test_what_the_arguments_of_a_call_hold_is_text() -> None:
    call = {"type": "tool_use", "id": "t", "name": "draw", "input": {"content": [{"type": "image", "source": BASE64}]}}
    assert media("anthropic.messages", max_tokens=9, messages=[{"role": "assistant", "content": [call]}]) == ()


def test_content_in_content_is_looked_into_only_so_deep() -> None:
    block: dict[str, Any] = {"type": "image", "source": BASE64}
    for _ in range(100):
        block = {"type": "tool_result", "tool_use_id": "t", "content": [block]}
    assert media("anthropic.messages", max_tokens=9, messages=user(block)) == ()


@pytest.mark.parametrize("odd", [7, None, "words", [], {"type": 7}, {"type": "image_url"}, {"type": "file", "file": 1}])
def test_parts_of_no_known_shape_are_no_fault(odd: Any) -> None:
    assert sum(one.chars for one in media("openai.chat", messages=[{"role": "user", "content": [odd]}])) == 0
