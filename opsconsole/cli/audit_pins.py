"""The signed heads of hubs' audits that were seen from here, in a file, and the test of a newer one; it asks no hub."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from opsconsole.console.view.witnessed import Witnessed
from opsconsole.errors import ConfigError
from opsconsole.sdk.private_folder import make_private_folder
from opsconsole_storage.notes import Checkpoint, Verifier
from opsconsole_storage.proofs import ConsistencyProof

if sys.platform != "win32":
    import fcntl

PINS_FILE = "audit-pins.json"
FORMAT = "opsconsole.audit.pins/1"
FILE_BYTES_MAX = 1_048_576
"""A pin has about 600 bytes."""
PINS_MAX = 500
"""Hubs; beyond that the ones seen longest ago go."""
LOCK_SECONDS = 10.0
"""How long another process may write its pins; each takes a few milliseconds."""
LOCK_LOOK_SECONDS = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """One head as it was seen; `seen_at` is this machine's clock, unix seconds."""

    checkpoint: str
    public_key: str
    seen_at: float

    def head(self) -> Checkpoint:
        """What it states. Raises: ValueError when it is not signed by its key."""
        return Verifier.parse(self.public_key).open(self.checkpoint)


class Pins:
    """The file of pins, one for each hub's address; without a path they are forgotten with the process."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._known: dict[str, Pin] = {}

    def get(self, hub: str) -> Pin | None:
        """The pin of a hub. Raises: ConfigError when the file is there and cannot be used."""
        return self._read().get(hub)

    def keep(self, hub: str, pin: Pin) -> None:
        """Keep a pin, unless another process has kept a later head of the same key. Raises: ConfigError, OSError."""
        with self._alone():
            pins = self._read()
            known = pins.get(hub)
            if known is not None and known.public_key == pin.public_key and known.head().size > pin.head().size:
                return
            pins[hub] = pin
            newest = sorted(pins.items(), key=lambda item: item[1].seen_at)[-PINS_MAX:]
            self._write(dict(newest))

    def forget(self, hub: str) -> bool:
        """Trust what this hub shows next, whatever it is; whether there was a pin. Raises: ConfigError, OSError."""
        with self._alone():
            pins = self._read()
            if pins.pop(hub, None) is None:
                return False
            self._write(pins)
            return True

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """No other process changes the file meanwhile, where the system has such locks. Raises: ConfigError, OSError.

        The lock is on a file beside it: the file itself is replaced by each write.
        """
        if self._path is None or sys.platform == "win32":
            yield
            return
        make_private_folder(self._path.parent)
        handle = os.open(self._path.with_name(f".{self._path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            _lock(handle, self._path)
            yield
        finally:
            os.close(handle)

    def _read(self) -> dict[str, Pin]:
        if self._path is None:
            return self._known
        try:
            with self._path.open("rb") as file:
                return _pins(json.loads(file.read(FILE_BYTES_MAX)))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise ConfigError(f"{self._path} cannot be used: {error}") from None

    def _write(self, pins: dict[str, Pin]) -> None:
        if self._path is None:
            self._known = pins
            return
        document = {"format": FORMAT, "pins": {hub: asdict(pin) for hub, pin in pins.items()}}
        make_private_folder(self._path.parent)
        # mkstemp gives 0600; the name changes once the bytes are on the disk
        handle, name = tempfile.mkstemp(dir=self._path.parent, prefix=f".{PINS_FILE}-")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(document, file, indent=1)
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, self._path)
        except OSError:
            with suppress(OSError):
                os.unlink(name)
            raise


def _lock(handle: int, path: Path) -> None:
    """Wait for the lock, which ends with the handle. Raises: ConfigError."""
    assert sys.platform != "win32"
    late = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= late:
                raise ConfigError(f"{path} is held by another process for longer than {LOCK_SECONDS:.0f} s") from None
        time.sleep(LOCK_LOOK_SECONDS)


def _pins(document: object) -> dict[str, Pin]:
    """Raises: ValueError, KeyError, TypeError."""
    if not isinstance(document, Mapping) or document.get("format") != FORMAT:
        raise ValueError(f"it is not of the format {FORMAT}")
    pins = {
        str(hub): Pin(
            checkpoint=str(pin["checkpoint"]), public_key=str(pin["public_key"]), seen_at=float(pin["seen_at"])
        )
        for hub, pin in document["pins"].items()
    }
    for pin in pins.values():
        pin.head()
    return pins


def compared(pin: Pin | None, proof: str, *, now: float) -> tuple[Witnessed, Pin | None]:
    """What a hub's consistency proof says against the pinned head, and the head to pin now; None: keep the old one.

    Without a pin the proof's own key is believed, once.
    """
    seen = _seen(pin)
    try:
        shown = ConsistencyProof.from_json(proof)
        if pin is not None and shown.public_key != pin.public_key:
            return replace(seen, broken="it is another log, signed with another key"), None
        head = Verifier.parse(shown.public_key).open(shown.checkpoint)
    except ValueError as error:
        return replace(seen, broken=f"the head that the hub shows is not signed as it should be ({error})"), None
    found = replace(seen, size=head.size, root=head.root.hex())
    if seen.before is not None and head.size < seen.before:
        return replace(found, broken=f"the hub now shows {head.size:,} entries"), None
    try:
        shown.check(shown.public_key, None if pin is None else pin.checkpoint)
    except ValueError:
        return replace(found, broken=f"among the {head.size:,} entries that it shows now they are others"), None
    return found, Pin(checkpoint=shown.checkpoint, public_key=shown.public_key, seen_at=now)


def _seen(pin: Pin | None) -> Witnessed:
    return Witnessed() if pin is None else Witnessed(before=pin.head().size, seen_at=pin.seen_at)


class AuditWitness:
    """One hub's audit against what was seen of it from here; `console.witness.Witness`, and `audit pinned`."""

    def __init__(self, pins: Pins, hub: str) -> None:
        self._pins = pins
        self._hub = hub
        self._pin: Pin | None = None
        """What the proof is asked for against: another process may pin a later head while the hub answers."""

    def since(self) -> int:
        """The size from which a proof is wanted; 0 where nothing was seen yet. Raises: ConfigError."""
        self._pin = self._pins.get(self._hub)
        return 0 if self._pin is None else self._pin.head().size

    def compare(self, proof: str, *, now: float) -> Witnessed:
        """Test the proof asked for since `since()`, and pin the head that it proves. Raises: ConfigError, OSError."""
        found, pin = compared(self._pin, proof, now=now)
        if pin is not None:
            self._pins.keep(self._hub, pin)
        return found

    def unproven(self, why: str) -> Witnessed:
        """That nothing could be compared, and what was seen last."""
        return replace(_seen(self._pin), unproven=why)
