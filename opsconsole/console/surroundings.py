"""What the console finds out about where it is shown, from the environment given to it; it changes nothing there."""

from __future__ import annotations

from collections.abc import Mapping


def is_in_browser(environ: Mapping[str, str]) -> bool:
    """Whether frames go to a web page instead of a terminal."""
    return environ.get("TEXTUAL_DRIVER", "").endswith("web_driver:WebDriver")


def needs_ascii(environ: Mapping[str, str], encoding: str) -> bool:
    """Whether the terminal is one that shows nothing but ASCII."""
    if is_in_browser(environ):
        return False
    asked = environ.get("OPSCONSOLE_ASCII", "").lower() in ("1", "true", "yes", "on")
    return asked or environ.get("TERM") == "linux" or "utf" not in encoding.lower()
