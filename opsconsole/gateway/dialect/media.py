"""The pictures, sounds and files in a request, by where each API carries them; what they count as is not said here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from opsconsole.gateway.dialect.interface import Media
from opsconsole.gateway.dialect.json_text import listed, mapping, text

LEVELS_MAX = 4
"""Of content in content: a document of blocks in a result in a message, and one to spare."""
GENERATED = "image_generation_call"
"""An item that is a picture itself."""

Reader = Callable[[Mapping[str, Any]], Media | None]


def chat_media(messages: Iterable[Mapping[str, Any]]) -> tuple[Media, ...]:
    """Of messages of Chat Completions."""
    found: list[Media] = []
    for message in messages:
        if type(content := message.get("content")) is list:
            _gather(content, CHAT, found)
    return tuple(found)


def responses_media(items: Any) -> tuple[Media, ...]:
    """Of an input of Responses."""
    found: list[Media] = []
    for item in listed(items):
        if type(item) is not dict:
            continue
        if type(content := item.get("content")) is list:
            _gather(content, RESPONSES, found)
        output = item.get("output")
        if type(output) is list:
            _gather(output, RESPONSES, found)
        elif type(output) is dict:  # a screenshot
            _gather((output,), RESPONSES, found)
        elif item.get("type") == GENERATED:
            _gather((item,), RESPONSES, found)
    return tuple(found)


def anthropic_media(messages: Iterable[Any]) -> tuple[Media, ...]:
    """Of messages of Anthropic Messages."""
    found: list[Media] = []
    for message in messages:
        if type(message) is dict and type(content := message.get("content")) is list:
            _gather(content, ANTHROPIC, found)
    return tuple(found)


def _gather(
    content: Iterable[Any], readers: Mapping[str, Reader], found: list[Media], levels: int = LEVELS_MAX
) -> None:
    """Of the parts of a content; one of a type without a reader is text. The arguments of calls are never looked into:
    whatever they hold, the model reads it as text."""
    for part in content:
        if type(part) is not dict:
            continue
        kind = part.get("type")
        if kind == "text" or kind == "input_text" or kind == "output_text":
            continue
        reader = readers.get(kind) if type(kind) is str else None
        if reader is not None and (media := reader(part)) is not None:
            found.append(media)
        elif levels:
            if type(inner := part.get("content")) is list:
                _gather(inner, readers, found, levels - 1)
            if type(source := part.get("source")) is dict and type(inner := source.get("content")) is list:
                _gather(inner, readers, found, levels - 1)


def _inline(url: Any) -> int:
    """Characters of a `data:` address; none of one that only says where something is."""
    return len(url) if isinstance(url, str) and url[:5].lower() == "data:" else 0


def _carried(data: Any) -> int:
    return len(data) if isinstance(data, str) else 0


def _chat_picture(part: Mapping[str, Any]) -> Media:
    given = part.get("image_url")
    about = mapping(given)
    return Media(kind="picture", chars=_inline(about.get("url") or given), detail=text(about.get("detail")))


def _picture(part: Mapping[str, Any]) -> Media:
    return Media(kind="picture", chars=_inline(part.get("image_url")), detail=text(part.get("detail")))


def _generated(part: Mapping[str, Any]) -> Media:
    return Media(kind="picture", chars=_carried(part.get("result")))


def _sound(part: Mapping[str, Any]) -> Media:
    about = mapping(part.get("input_audio"))
    return Media(kind="sound", chars=_carried(about.get("data")), format=text(about.get("format")))


def _chat_file(part: Mapping[str, Any]) -> Media:
    return Media(kind="file", chars=_carried(mapping(part.get("file")).get("file_data")))


def _file(part: Mapping[str, Any]) -> Media:
    return Media(kind="file", chars=_carried(part.get("file_data")))


def _block_picture(part: Mapping[str, Any]) -> Media:
    return Media(kind="picture", chars=_base64(part))


def _document(part: Mapping[str, Any]) -> Media | None:
    """One that is written out counts as the text, or the blocks, that it is."""
    kind = mapping(part.get("source")).get("type")
    return None if kind in ("text", "content") else Media(kind="file", chars=_base64(part))


def _base64(part: Mapping[str, Any]) -> int:
    return _carried(mapping(part.get("source")).get("data"))


CHAT: Mapping[str, Reader] = {"image_url": _chat_picture, "input_audio": _sound, "file": _chat_file}
RESPONSES: Mapping[str, Reader] = {
    "input_image": _picture,
    "computer_screenshot": _picture,
    GENERATED: _generated,
    "input_audio": _sound,
    "input_file": _file,
}
ANTHROPIC: Mapping[str, Reader] = {"image": _block_picture, "document": _document, "container_upload": _document}
"""The type of a part -> what it is, by API."""
