"""The agent's settings: one TOML file, secrets from files or the environment, validated once.

Law of this file: what comes out is whole and right, or ConfigError names the file, the key and the mend.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from wire.messages import BusConfig, DetectorConfig, Id

PASSWORD_VARIABLE = "SMOKEWATCH_MQTT_PASSWORD"  # noqa: S105 -- the variable's name, not a secret


class ConfigError(Exception):
    """The file cannot be used; the text names file, key and mend, one problem a line."""


@dataclass(frozen=True, slots=True)
class MqttSettings:
    """How to reach the broker. `password` never appears in a repr."""

    host: str
    port: int
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: bool = False
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    keepalive_s: int = 30


@dataclass(frozen=True, slots=True)
class OutboxSettings:
    """What events and readings may take on disk together, and what is kept free for alarms; bytes."""

    max_bytes: int = 100_000_000
    reserve_bytes: int = 4_000_000


@dataclass(frozen=True, slots=True)
class Settings:
    """All that one agent needs to start; `buses` hold until the centre pushes others."""

    area: str
    gateway: str
    state_dir: Path
    mqtt: MqttSettings
    buses: tuple[BusConfig, ...] = ()
    report_s: float = 300.0
    machine_id_file: Path = Path("/etc/machine-id")
    profiles_dir: Path | None = None
    clock: Literal["kernel", "trusted"] = "kernel"
    outbox: OutboxSettings = OutboxSettings()

    @property
    def outbox_path(self) -> Path:
        """The one durable file of the agent."""
        return self.state_dir / "outbox.db"

    @property
    def running_mark(self) -> Path:
        """Is there while an agent runs, and after one that ended without a goodbye."""
        return self.state_dir / "running"


class _Mqtt(Struct, frozen=True):
    host: Annotated[str, Meta(min_length=1, max_length=255)]
    port: Annotated[int, Meta(ge=1, le=65535)] | None = None
    username: str | None = None
    password_file: str | None = None
    tls: bool = False
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    keepalive_s: Annotated[int, Meta(ge=5, le=600)] = 30


class _Outbox(Struct, frozen=True):
    max_mb: Annotated[int, Meta(ge=10, le=100_000)] = 100
    reserve_mb: Annotated[int, Meta(ge=0, le=100)] = 4


class _File(Struct, frozen=True):
    area: Id
    gateway: Id
    state_dir: Annotated[str, Meta(min_length=1)]
    mqtt: _Mqtt
    bus: Annotated[list[BusConfig], Meta(max_length=16)] = []
    report_s: Annotated[float, Meta(ge=1, le=3600)] = 300.0
    machine_id_file: str = "/etc/machine-id"
    profiles_dir: str | None = None
    clock: Literal["kernel", "trusted"] = "kernel"
    outbox: _Outbox = _Outbox()


def read_settings(path: Path, environment: Mapping[str, str]) -> Settings:
    """Read and check the file's form. Raises ConfigError. The buses are judged by `rules`."""
    raw = _parse(path)
    unknown = _unknown(raw)
    if unknown:
        raise ConfigError(on_lines(path, unknown))
    try:
        file = msgspec.convert(raw, _File)
    except msgspec.ValidationError as error:
        raise ConfigError(on_lines(path, [_plain(str(error), raw)])) from None
    beside = path.resolve().parent
    return Settings(
        area=file.area,
        gateway=file.gateway,
        state_dir=beside / file.state_dir,
        mqtt=_mqtt(path, file.mqtt, environment),
        buses=tuple(file.bus),
        report_s=file.report_s,
        machine_id_file=beside / file.machine_id_file,
        profiles_dir=None if file.profiles_dir is None else beside / file.profiles_dir,
        clock=file.clock,
        outbox=OutboxSettings(file.outbox.max_mb * 1_000_000, file.outbox.reserve_mb * 1_000_000),
    )


def nearest(word: str, known: Iterable[str]) -> str:
    """` (did you mean 'x'?)` when something known is close, else nothing."""
    close = difflib.get_close_matches(word, sorted(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _parse(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be read ({error.strerror}): give the path of a TOML file"
        ) from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: is not UTF-8 text: save it as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: is not valid TOML: {error}") from None


def _mqtt(path: Path, mqtt: _Mqtt, environment: Mapping[str, str]) -> MqttSettings:
    beside = path.resolve().parent
    files: dict[str, Path | None] = {}
    for key in ("ca_file", "cert_file", "key_file"):
        given: str | None = getattr(mqtt, key)
        files[key] = None if given is None else beside / given
        if given is not None and not (beside / given).is_file():
            raise ConfigError(f"{path}: mqtt.{key}: no file {beside / given}: give the path of a PEM file")
    if (files["cert_file"] is None) != (files["key_file"] is None):
        raise ConfigError(f"{path}: mqtt.cert_file and mqtt.key_file belong together: give both or neither")
    if not mqtt.tls and any(files.values()):
        raise ConfigError(f"{path}: mqtt.tls is false, but certificates are given: set tls = true")
    password = environment.get(PASSWORD_VARIABLE)
    if mqtt.password_file is not None:
        try:
            password = (beside / mqtt.password_file).read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError):
            place = beside / mqtt.password_file
            raise ConfigError(f"{path}: mqtt.password_file: cannot read {place} as text") from None
    if password is not None and mqtt.username is None:
        raise ConfigError(f"{path}: mqtt.username is missing, but a password is given: add username")
    return MqttSettings(
        host=mqtt.host,
        port=mqtt.port or (8883 if mqtt.tls else 1883),
        username=mqtt.username,
        password=password,
        tls=mqtt.tls,
        ca_file=files["ca_file"],
        cert_file=files["cert_file"],
        key_file=files["key_file"],
        keepalive_s=mqtt.keepalive_s,
    )


def _unknown(raw: Mapping[str, Any]) -> list[str]:
    found = _foreign("", raw, _File)
    if isinstance(raw.get("mqtt"), dict):
        found += _foreign("mqtt.", raw["mqtt"], _Mqtt)
    if isinstance(raw.get("outbox"), dict):
        found += _foreign("outbox.", raw["outbox"], _Outbox)
    buses = raw.get("bus")
    for i, bus in enumerate(buses if isinstance(buses, list) else ()):
        if not isinstance(bus, dict):
            continue
        found += _foreign(f"bus[{i}].", bus, BusConfig)
        detectors = bus.get("detectors")
        for j, detector in enumerate(detectors if isinstance(detectors, list) else ()):
            if isinstance(detector, dict):
                found += _foreign(f"bus[{i}].detectors[{j}].", detector, DetectorConfig)
    return found


def _foreign(place: str, table: Mapping[str, Any], kind: type[Struct]) -> list[str]:
    known = kind.__struct_fields__
    return [
        f"{place}{key}: unknown key{nearest(key, known) or ': known are ' + ', '.join(known)}"
        for key in table
        if key not in known
    ]


def _plain(message: str, raw: Mapping[str, Any]) -> str:
    """The library's sentence with our key in front: `mqtt.port: Expected ...`."""
    text, _, where = message.partition(" - at `")
    key = where.rstrip("`").removeprefix("$").removeprefix(".")
    missing = re.fullmatch(r"Object missing required field `(\w+)`", text)
    if missing:
        whole = f"{key}.{missing[1]}" if key else missing[1]
        return f"{whole}: is missing: add it"
    value: Any = raw
    for step in re.findall(r"\w+", key):
        value = value[int(step)] if isinstance(value, list) else value.get(step)
    return f"{key}: {value!r} does not fit: {text[:1].lower()}{text[1:]}"


def on_lines(path: Path, found: Iterable[str]) -> str:
    """Each problem on a line of its own with the file in front."""
    return "\n".join(f"{path}: {problem}" for problem in found)
