"""The centre's settings: one TOML file, secrets from files or the environment, validated once.

Law of this file: what comes out is whole and right, or ConfigError names the file, the key and the mend.
The tables below `[channels]` are checked by the channels themselves, which know their keys.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn, TypeVar
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, Struct

DSN_VARIABLE = "SMOKEWATCH_DATABASE_DSN"
PASSWORD_VARIABLE = "SMOKEWATCH_BROKER_PASSWORD"  # noqa: S105 -- the variable's name, not a secret


class ConfigError(Exception):
    """The file cannot be used; the text names file, key and mend, one problem a line."""


@dataclass(frozen=True, slots=True)
class BrokerSettings:
    """How to reach the MQTT broker."""

    host: str
    port: int
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: bool = False
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    also: tuple[tuple[str, int], ...] = ()
    """Further nodes of the same broker, host and port: tried in turn when one is lost."""

    @property
    def nodes(self) -> tuple[tuple[str, int], ...]:
        """Every node, the first one first."""
        return ((self.host, self.port), *self.also)


@dataclass(frozen=True, slots=True)
class IngestSettings:
    """Which part of the gateways this process hears."""

    area: str = ""
    """One area's id; empty: all."""


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """Where the API and the pages listen, and how people reach them."""

    host: str = "127.0.0.1"
    port: int = 8080
    public_url: str = "http://127.0.0.1:8080"
    """The address in messages, without a slash at the end."""


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """How many messages are under way at once, for each channel; what is not urgent also keeps a pace."""

    urgent_slots: int = 16
    other_slots: int = 4
    other_per_s: float = 10.0
    link_valid_h: float = 72.0


@dataclass(frozen=True, slots=True)
class JobsSettings:
    """What is kept for how long."""

    readings_days: int = 90
    quarantine_days: int = 30
    minutes_days: int = 366
    hours_days: int = 1827


@dataclass(frozen=True, slots=True)
class ForwardSettings:
    """A fire-brigade centre that is told of alarms by GB/T 26875.3."""

    id: str
    host: str
    port: int
    source_address: int
    """Ours there, below 2^48."""
    destination_address: int
    transport: Literal["tcp", "udp"] = "tcp"
    area: str = ""
    """One area's id; empty: all."""
    when: Literal["at_once", "confirmed_or_raised"] = "at_once"
    fire_state: int = 0x0003
    """Or 0x0002, for centres that know a fire by that."""
    roll_call: Literal["person", "automatic"] = "person"
    state_every_s: float = 60.0
    ack_s: float = 10.0


@dataclass(frozen=True, slots=True)
class TransmitterSettings:
    """An existing transmitter that reports by GB/T 26875.3."""

    address: int
    gateway: str
    """The gateway as which it is registered."""
    host: str | None = None
    """Only from this IP address."""


@dataclass(frozen=True, slots=True)
class TransmittersSettings:
    """Where we hear existing transmitters, and which."""

    host: str
    port: int
    address: int
    """Ours, to them."""
    known: tuple[TransmitterSettings, ...]


@dataclass(frozen=True, slots=True)
class Settings:
    """All that the centre needs to start. Secrets never appear in a repr."""

    path: Path
    dsn: str = field(repr=False)
    broker: BrokerSettings
    ingest: IngestSettings = IngestSettings()
    http: HttpSettings = HttpSettings()
    worker: WorkerSettings = WorkerSettings()
    jobs: JobsSettings = JobsSettings()
    forward: tuple[ForwardSettings, ...] = ()
    transmitters: TransmittersSettings | None = None
    channels: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)
    """The tables below `[channels]` as they stand; `central.notifier.channels.build_channels` reads them."""
    auditor: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """The table `[auditor]` as it stands; `central.emergency.read_auditor` reads it. Empty: there is none."""


_Port = Annotated[int, Meta(ge=1, le=65535)]
_S = TypeVar("_S", bound=Struct)
_Address = Annotated[str, Meta(pattern=r"^.+:[0-9]{1,5}$", max_length=260)]
_FireAddress = Annotated[int, Meta(ge=0, lt=1 << 48)]
_Word = Annotated[str, Meta(min_length=1, max_length=255)]


class _Database(Struct, frozen=True):
    dsn: str | None = None
    dsn_file: str | None = None


class _Broker(Struct, frozen=True):
    host: _Word
    port: _Port | None = None
    username: str | None = None
    password_file: str | None = None
    tls: bool = False
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    also: list[_Address] = []


class _Ingest(Struct, frozen=True):
    area: Annotated[str, Meta(pattern=r"^[a-z0-9-]{0,32}$")] = ""


class _Http(Struct, frozen=True):
    host: _Word = "127.0.0.1"
    port: _Port = 8080
    public_url: str | None = None


class _Worker(Struct, frozen=True):
    urgent_slots: Annotated[int, Meta(ge=1, le=200)] = 16
    other_slots: Annotated[int, Meta(ge=1, le=200)] = 4
    other_per_s: Annotated[float, Meta(ge=0.1, le=1000)] = 10.0
    link_valid_h: Annotated[float, Meta(gt=0, le=720)] = 72.0


class _Jobs(Struct, frozen=True):
    readings_days: Annotated[int, Meta(ge=1, le=36500)] = 90
    quarantine_days: Annotated[int, Meta(ge=1, le=36500)] = 30
    minutes_days: Annotated[int, Meta(ge=1, le=36500)] = 366
    hours_days: Annotated[int, Meta(ge=1, le=36500)] = 1827


class _Forward(Struct, frozen=True):
    id: Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,32}$")]
    host: _Word
    port: _Port
    source_address: _FireAddress
    destination_address: _FireAddress
    transport: Literal["tcp", "udp"] = "tcp"
    area: Annotated[str, Meta(pattern=r"^[a-z0-9-]{0,32}$")] = ""
    when: Literal["at_once", "confirmed_or_raised"] = "at_once"
    fire_state: Literal[2, 3] = 3
    roll_call: Literal["person", "automatic"] = "person"
    state_every_s: Annotated[float, Meta(ge=10, le=3600)] = 60.0
    ack_s: Annotated[float, Meta(ge=1, le=10)] = 10.0


class _Transmitter(Struct, frozen=True):
    address: _FireAddress
    # 16 characters: the ids of its detectors are made of it (central.transmitted)
    gateway: Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,16}$")]
    host: _Word | None = None


class _Transmitters(Struct, frozen=True):
    listen: _Address
    address: _FireAddress
    known: Annotated[list[_Transmitter], Meta(min_length=1, max_length=10_000)]


class _File(Struct, frozen=True):
    broker: _Broker
    database: _Database = _Database()
    ingest: _Ingest = _Ingest()
    http: _Http = _Http()
    worker: _Worker = _Worker()
    jobs: _Jobs = _Jobs()
    forward: list[_Forward] = []
    transmitters: _Transmitters | None = None
    channels: dict[str, dict[str, Any]] = {}
    auditor: dict[str, Any] = {}


_TABLES: Mapping[str, type[Struct]] = {
    "broker": _Broker,
    "database": _Database,
    "ingest": _Ingest,
    "http": _Http,
    "worker": _Worker,
    "jobs": _Jobs,
    "transmitters": _Transmitters,
}


def read_settings(path: Path, environment: Mapping[str, str]) -> Settings:
    """Read and check the file. Raises ConfigError."""
    raw = _parse(path)
    found = foreign_keys("", raw, _File.__struct_fields__)
    for name, kind in _TABLES.items():
        if isinstance(raw.get(name), dict):
            found += foreign_keys(f"{name}.", raw[name], kind.__struct_fields__)
    hearing = raw.get("transmitters")
    for place, tables, fields in (
        ("forward", raw.get("forward"), _Forward.__struct_fields__),
        (
            "transmitters.known",
            hearing.get("known") if isinstance(hearing, dict) else None,
            _Transmitter.__struct_fields__,
        ),
    ):
        for number, table in enumerate(tables if isinstance(tables, list) else ()):
            if isinstance(table, dict):
                found += foreign_keys(f"{place}[{number}].", table, fields)
    if found:
        raise ConfigError(on_lines(path, found))
    file = convert(path, "", raw, _File)
    return Settings(
        path=path,
        dsn=_dsn(path, file.database, environment),
        broker=_broker(path, file.broker, environment),
        ingest=IngestSettings(file.ingest.area),
        http=_http(path, file.http),
        worker=WorkerSettings(
            file.worker.urgent_slots,
            file.worker.other_slots,
            file.worker.other_per_s,
            file.worker.link_valid_h,
        ),
        jobs=JobsSettings(
            file.jobs.readings_days, file.jobs.quarantine_days, file.jobs.minutes_days, file.jobs.hours_days
        ),
        forward=_forward(path, file.forward),
        transmitters=None if file.transmitters is None else _transmitters(path, file.transmitters),
        channels=file.channels,
        auditor=file.auditor,
    )


def secret(
    path: Path,
    place: str,
    value: str | None,
    file: str | None,
    from_environment: str | None,
) -> str | None:
    """A secret by value, by file or by environment (which wins); `place` is the key without `_file`.

    Raises ConfigError when both value and file are given, or the file cannot be read or is empty.
    """
    if value is not None and file is not None:
        fail(path, f"{place} and {place}_file are both given: keep one of them")
    if from_environment:
        return from_environment
    if file is None:
        return value
    source = path.resolve().parent / file
    try:
        text = source.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        fail(path, f"{place}_file: cannot read {source} as text: give the path of a file with the secret")
    if not text:
        fail(path, f"{place}_file: {source} is empty: write the secret into it")
    return text


def foreign_keys(place: str, table: Mapping[str, Any], known: Iterable[str]) -> list[str]:
    """What is said about keys that nobody knows."""
    names = list(known)
    return [
        f"{place}{key}: unknown key{nearest(key, names) or ': known are ' + ', '.join(names)}"
        for key in table
        if key not in names
    ]


def nearest(word: str, known: Iterable[str]) -> str:
    """` (did you mean 'x'?)` when something known is close, else nothing."""
    close = difflib.get_close_matches(word, sorted(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def convert(path: Path, place: str, table: Mapping[str, Any], kind: type[_S]) -> _S:
    """The table as a struct. Raises ConfigError with the key (below `place`) and what fits there."""
    try:
        return msgspec.convert(table, kind)
    except msgspec.ValidationError as error:
        fail(path, _plain(str(error), place, table))


def on_lines(path: Path, found: Iterable[str]) -> str:
    """Each problem on a line of its own with the file in front."""
    return "\n".join(f"{path}: {problem}" for problem in found)


def fail(path: Path, problem: str) -> NoReturn:
    """Raise ConfigError for one problem."""
    raise ConfigError(f"{path}: {problem}")


def _parse(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        fail(path, f"cannot be read ({error.strerror}): give the path of a TOML file")
    except UnicodeDecodeError:
        fail(path, "is not UTF-8 text: save it as UTF-8")
    except tomllib.TOMLDecodeError as error:
        fail(path, f"is not valid TOML: {error}")


def _dsn(path: Path, database: _Database, environment: Mapping[str, str]) -> str:
    dsn = secret(path, "database.dsn", database.dsn, database.dsn_file, environment.get(DSN_VARIABLE))
    if not dsn:
        fail(path, f"database.dsn is missing: add it, or dsn_file, or set {DSN_VARIABLE}")
    return dsn


def _broker(path: Path, broker: _Broker, environment: Mapping[str, str]) -> BrokerSettings:
    beside = path.resolve().parent
    files: dict[str, Path | None] = {}
    for key in ("ca_file", "cert_file", "key_file"):
        given: str | None = getattr(broker, key)
        files[key] = None if given is None else beside / given
        if given is not None and not (beside / given).is_file():
            fail(path, f"broker.{key}: no file {beside / given}: give the path of a PEM file")
    if (files["cert_file"] is None) != (files["key_file"] is None):
        fail(path, "broker.cert_file and broker.key_file belong together: give both or neither")
    if not broker.tls and any(files.values()):
        fail(path, "broker.tls is false, but certificates are given: set tls = true")
    password = secret(path, "broker.password", None, broker.password_file, environment.get(PASSWORD_VARIABLE))
    if password is not None and broker.username is None:
        fail(path, "broker.username is missing, but a password is given: add username")
    return BrokerSettings(
        host=broker.host,
        port=broker.port or (8883 if broker.tls else 1883),
        username=broker.username,
        password=password,
        tls=broker.tls,
        ca_file=files["ca_file"],
        cert_file=files["cert_file"],
        key_file=files["key_file"],
        also=tuple(_address(path, "broker.also", each) for each in broker.also),
    )


def _address(path: Path, key: str, text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not 1 <= int(port) <= 65535:
        fail(path, f"{key}: {text!r}: no port {port}: give host:port")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _forward(path: Path, centres: list[_Forward]) -> tuple[ForwardSettings, ...]:
    ids = [centre.id for centre in centres]
    twice = sorted({name for name in ids if ids.count(name) > 1})
    if twice:
        fail(path, f"forward: two tables have id {twice[0]!r}: each centre needs an id of its own")
    for number, centre in enumerate(centres):
        if centre.source_address == centre.destination_address:
            fail(
                path,
                f"forward[{number}].source_address and destination_address are both {centre.source_address}:"
                " give the two that the fire brigade has assigned",
            )
    return tuple(ForwardSettings(**msgspec.structs.asdict(centre)) for centre in centres)


def _transmitters(path: Path, table: _Transmitters) -> TransmittersSettings:
    host, port = _address(path, "transmitters.listen", table.listen)
    for key in ("address", "gateway"):
        values = [getattr(one, key) for one in table.known]
        twice = [value for value in values if values.count(value) > 1]
        if twice:
            fail(path, f"transmitters.known: two have {key} {twice[0]!r}: each needs its own")
    known = tuple(TransmitterSettings(one.address, one.gateway, one.host) for one in table.known)
    return TransmittersSettings(host, port, table.address, known)


def _http(path: Path, http: _Http) -> HttpSettings:
    url = http.public_url
    if url is None:
        url = f"http://{f'[{http.host}]' if ':' in http.host else http.host}:{http.port}"
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.netloc or parts.query or parts.fragment:
        fail(
            path,
            f"http.public_url: {url!r} is no web address: give the one people open, such as https://fire.example",
        )
    return HttpSettings(http.host, http.port, url.rstrip("/"))


def _plain(message: str, place: str, table: Mapping[str, Any]) -> str:
    """The library's sentence with our key in front: `http.port: Expected ...`."""
    text, _, where = message.partition(" - at `")
    key = where.rstrip("`").removeprefix("$").removeprefix(".")
    whole = f"{place}{key}"
    missing = re.fullmatch(r"Object missing required field `(\w+)`", text)
    if missing:
        return f"{whole}{'.' if key else ''}{missing[1]}: is missing: add it"
    value: Any = table
    for step in re.findall(r"\w+", key):
        value = (
            value[int(step)]
            if isinstance(value, list)
            else value.get(step)
            if isinstance(value, dict)
            else None
        )
    return f"{whole}: {value!r} does not fit: {text[:1].lower()}{text[1:]}"
