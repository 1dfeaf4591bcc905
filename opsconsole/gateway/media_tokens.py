"""What pictures, sounds and files of a request count as before their provider has told: never less than it will say.

By the providers' published rules a picture is made smaller before it is read, so it costs a bounded number of tokens
whatever its bytes; a sound costs by its length; a file by what is on its pages, of which nobody here knows the number.
"""

from __future__ import annotations

import math
import re

from opsconsole.domain.light import light_dataclass
from opsconsole.gateway.dialect.interface import Media, Request

ANTHROPIC_PICTURE_TOKENS = 4_800
"""28 by 28 pixels are one, of at most 4,784; models that look less closely take at most about 1,600."""
OPENAI_PICTURE_TOKENS = 4_096
"""Tiles: at most 85 + 8 * 170; patches: at most 1,536 * 2.46, or 2,500 * 1.2."""
GPT_4O_MINI_PICTURE_TOKENS = 48_200
"""At most 2,833 + 8 * 5,667 tokens, each as much cheaper."""
OTHER_PICTURE_TOKENS = 16_384
"""Models that may be shown originals take 10,000 patches of at most 1.2; servers of open models at most so many."""
_OPENAI_MINI = re.compile(r"(?:^|[/:])gpt-4o-mini")
_OPENAI_KNOWN = re.compile(
    r"(?:^|[/:])(?:chatgpt-4o|gpt-4|o[134](?:-|\Z)|gpt-5(?:-|\Z)|gpt-5\.[123](?:-|\Z)|computer-use-)"
)
_OPENAI_SOUND = re.compile(r"(?:^|[/:])gpt-")

OPENAI_SOUND_TOKENS_PER_SECOND = 10
OTHER_SOUND_TOKENS_PER_SECOND = 32
WAV_BYTES_PER_SECOND = 4_000
"""8,000 samples of half a byte: telephones."""
SOUND_BYTES_PER_SECOND = 1_000
"""The least that MP3 has for a second."""

FILE_CHARS_PER_TOKEN = 4
"""As if its base64 were text: pages of text and of pictures have more bytes than that."""
FILE_TOKENS_MIN = 5_000
"""A page read as text and as a picture; also for a file that is only named."""

MEDIA_TOKENS_MAX = 1_048_576
"""All of a request together: the largest contexts that are sold hold no more, and what exceeds them is refused."""
_BASE64_BYTES = 3 / 4
"""Of a character."""


@light_dataclass(frozen=True, slots=True, kw_only=True)
class Weighed:
    """What the media of a request count as."""

    chars: int
    """Of the request, that are not counted as text."""
    tokens: int
    sound_tokens: int
    """Of these tokens; they have a price of their own."""


def weighed(request: Request) -> Weighed:
    """What its media count as."""
    anthropic = request.dialect.startswith("anthropic")
    parts = [(part, _tokens(part, request.model, anthropic=anthropic)) for part in request.media]
    tokens = min(MEDIA_TOKENS_MAX, sum(count for _, count in parts))
    sound = min(tokens, sum(count for part, count in parts if part.kind == "sound"))
    return Weighed(chars=sum(part.chars for part, _ in parts), tokens=tokens, sound_tokens=sound)


def _tokens(part: Media, model: str, *, anthropic: bool) -> int:
    if part.kind == "picture":
        return ANTHROPIC_PICTURE_TOKENS if anthropic else _picture_tokens(part, model)
    if part.kind == "sound":
        return _sound_tokens(part, model)
    return max(FILE_TOKENS_MIN, part.chars // FILE_CHARS_PER_TOKEN)


def _picture_tokens(part: Media, model: str) -> int:
    if _OPENAI_MINI.search(model):
        return GPT_4O_MINI_PICTURE_TOKENS
    return OPENAI_PICTURE_TOKENS if _OPENAI_KNOWN.search(model) and part.detail != "original" else OTHER_PICTURE_TOKENS


def _sound_tokens(part: Media, model: str) -> int:
    pace = OPENAI_SOUND_TOKENS_PER_SECOND if _OPENAI_SOUND.search(model) else OTHER_SOUND_TOKENS_PER_SECOND
    least = WAV_BYTES_PER_SECOND if part.format == "wav" else SOUND_BYTES_PER_SECOND
    return math.ceil(part.chars * _BASE64_BYTES / least * pace)
