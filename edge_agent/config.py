"""The agent's settings: one TOML file, secrets from files or the environment, validated once.

Law of this file: what comes out is whole and right, or ConfigError names the file, the key and the mend.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct, inspect

from edge_agent.fallback_settings import FallbackError, FallbackSettings, FallbackTable, read_fallback
from wire.messages import BusConfig, Id

PASSWORD_VARIABLE = "SMOKEWATCH_MQTT_PASSWORD"  # noqa: S105 -- the variable's name, not a secret


class ConfigError(Exception):
    """The file cannot be used; the text names file, key and mend, one problem a line."""


@dataclass(frozen=True, slots=True)
class MqttSettings:
    """One way to the broker, and the further ones. `password` never appears in a repr."""

    host: str
    port: int
    transport: Literal["tcp", "websocket"] = "tcp"
    path: str = "/mqtt"
    """Of the HTTP request that opens a WebSocket."""
    server_name: str | None = None
    """The name asked for (SNI) and expected in the broker's certificate; None: `host`."""
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: bool = False
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    keepalive_s: int = 45
    """Longer than the heartbeat's 30 s: then no ping is ever paid for."""
    backlog_kb_s: float = 1000.0
    """Events that waited go out at most so fast, in kB (1000 bytes) a second; urgent ones know no limit."""
    readings_kb_s: float = 128.0
    readings_every_s: float = 300.0
    """In quiet times readings gather for so long before a message is paid for."""
    also: tuple[MqttSettings, ...] = ()
    """Tried in this order when the one before fails."""

    @property
    def ways(self) -> tuple[MqttSettings, ...]:
        """All ways in, the preferred one first."""
        return (self, *self.also)

    def __str__(self) -> str:
        """`host:port`, with the path where it is a WebSocket."""
        return f"{self.host}:{self.port}{self.path if self.transport == 'websocket' else ''}"


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
    report_s: float = 3600.0
    machine_id_file: Path = Path("/etc/machine-id")
    profiles_dir: Path | None = None
    clock: Literal["kernel", "trusted"] = "kernel"
    http_listen: tuple[str, int] | None = None
    """Host and port of the health pages; None: not served."""
    control_socket: Path = Path("control.sock")
    fallback: FallbackSettings | None = None
    outbox: OutboxSettings = OutboxSettings()

    @property
    def outbox_path(self) -> Path:
        """The one durable file of the agent."""
        return self.state_dir / "outbox.db"

    @property
    def running_mark(self) -> Path:
        """Is there while an agent runs, and after one that ended without a goodbye."""
        return self.state_dir / "running"


_Host = Annotated[str, Meta(min_length=1, max_length=255)]
_Port = Annotated[int, Meta(ge=1, le=65535)]
_UrlPath = Annotated[str, Meta(pattern="^/[!-~]{0,199}$")]
_Rate = Annotated[float, Meta(ge=1, le=1_000_000)]


class _Way(Struct, frozen=True):
    """One of `mqtt.also`; what is left out is as in `mqtt`."""

    host: _Host | None = None
    port: _Port | None = None
    transport: Literal["tcp", "websocket"] | None = None
    path: _UrlPath | None = None
    server_name: _Host | None = None


class Http(Struct, frozen=True):
    """`[http]`: where `/metrics`, `/healthz` and `/readyz` are served."""

    listen: Annotated[str, Meta(max_length=255)] = ""
    """`host:port`, a loopback one unless a proxy guards it; empty: not served."""


class Control(Struct, frozen=True):
    """`[control]`: the socket by which `probe` and `set-address` ask the running agent."""

    socket: Annotated[str, Meta(max_length=107)] = ""
    """Path; empty: `control.sock` in the state folder."""


class _Mqtt(Struct, frozen=True):
    host: _Host
    port: _Port | None = None
    transport: Literal["tcp", "websocket"] = "tcp"
    path: _UrlPath = "/mqtt"
    server_name: _Host | None = None
    username: str | None = None
    password_file: str | None = None
    tls: bool = False
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    keepalive_s: Annotated[int, Meta(ge=5, le=600)] = 45
    backlog_kb_s: _Rate = 1000.0
    readings_kb_s: _Rate = 128.0
    readings_every_s: Annotated[float, Meta(ge=0, le=3600)] = 300.0
    also: Annotated[list[_Way], Meta(max_length=8)] = []


class _Outbox(Struct, frozen=True):
    max_mb: Annotated[int, Meta(ge=10, le=100_000)] = 100
    reserve_mb: Annotated[int, Meta(ge=0, le=100)] = 4


class _File(Struct, frozen=True):
    area: Id
    gateway: Id
    state_dir: Annotated[str, Meta(min_length=1)]
    mqtt: _Mqtt
    bus: Annotated[list[BusConfig], Meta(max_length=16)] = []
    report_s: Annotated[float, Meta(ge=1, le=3600)] = 3600.0
    machine_id_file: str = "/etc/machine-id"
    profiles_dir: str | None = None
    clock: Literal["kernel", "trusted"] = "kernel"
    http: Http = Http()
    control: Control = Control()
    fallback: FallbackTable | None = None
    outbox: _Outbox = _Outbox()


def read_settings(path: Path, environment: Mapping[str, str]) -> Settings:
    """Read and check the file's form. Raises ConfigError. The buses are judged by `rules`."""
    raw = _parse(path)
    unknown = _foreign("", raw, inspect.type_info(_File))
    if unknown:
        raise ConfigError(on_lines(path, unknown))
    try:
        file = msgspec.convert(raw, _File)
    except msgspec.ValidationError as error:
        raise ConfigError(on_lines(path, [_plain(str(error), raw)])) from None
    beside = path.resolve().parent
    try:
        fallback = read_fallback(file.fallback, beside, environment)
    except FallbackError as error:
        raise ConfigError(on_lines(path, [str(error)])) from None
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
        http_listen=_listen(path, file.http),
        control_socket=beside / (file.control.socket or f"{file.state_dir}/control.sock"),
        fallback=fallback,
        outbox=OutboxSettings(file.outbox.max_mb * 1_000_000, file.outbox.reserve_mb * 1_000_000),
    )


def host_port(address: str) -> tuple[str, int] | None:
    """`host:port` or `[v6]:port` taken apart; None when it is neither."""
    host, colon, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not (port.isascii() and port.isdecimal()) or not 1 <= int(port) <= 65535:
        return None
    return host, int(port)


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


def _listen(path: Path, http: Http) -> tuple[str, int] | None:
    place = host_port(http.listen)
    if http.listen and place is None:
        raise ConfigError(
            f"{path}: http.listen: {http.listen!r} is not host:port, for example 127.0.0.1:9110"
        )
    return place


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
    if mqtt.server_name is not None and not mqtt.tls:
        raise ConfigError(f"{path}: mqtt.server_name needs TLS: set tls = true, or leave it out")
    first = MqttSettings(
        host=mqtt.host,
        port=mqtt.port or _usual_port(mqtt.transport, mqtt.tls),
        transport=mqtt.transport,
        path=mqtt.path,
        server_name=mqtt.server_name,
        username=mqtt.username,
        password=password,
        tls=mqtt.tls,
        ca_file=files["ca_file"],
        cert_file=files["cert_file"],
        key_file=files["key_file"],
        keepalive_s=mqtt.keepalive_s,
        backlog_kb_s=mqtt.backlog_kb_s,
        readings_kb_s=mqtt.readings_kb_s,
        readings_every_s=mqtt.readings_every_s,
    )
    return replace(first, also=tuple(_also(first, way) for way in mqtt.also))


def _also(first: MqttSettings, way: _Way) -> MqttSettings:
    transport = way.transport or first.transport
    # A name given for the first host says nothing of another one.
    name = way.server_name or (first.server_name if way.host in (None, first.host) else None)
    return replace(
        first,
        host=way.host or first.host,
        port=way.port or _usual_port(transport, first.tls),
        transport=transport,
        path=way.path or first.path,
        server_name=name,
    )


def _usual_port(transport: Literal["tcp", "websocket"], tls: bool) -> int:
    return (443 if tls else 80) if transport == "websocket" else (8883 if tls else 1883)


def _foreign(place: str, value: object, kind: inspect.Type) -> list[str]:
    """Keys that no struct of the file's form knows, at any depth."""
    found: list[str] = []
    match kind:
        case inspect.UnionType():
            for each in kind.types:
                found += _foreign(place, value, each)
        case inspect.ListType() if isinstance(value, list):
            for index, each in enumerate(value):
                found += _foreign(f"{place}[{index}]", each, kind.item_type)
        case inspect.StructType() if isinstance(value, dict):
            fields = {each.name: each.type for each in kind.fields}
            for key, each in value.items():
                where = f"{place}.{key}" if place else key
                if key in fields:
                    found += _foreign(where, each, fields[key])
                else:
                    hint = nearest(key, fields) or f": known are {', '.join(fields)}"
                    found.append(f"{where}: unknown key{hint}")
        case _:
            pass
    return found


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
