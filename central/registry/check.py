"""Pure rules of a record on its own: form, ranges, words, and what it refers to."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from central.engine.policy import ONLOOKERS
from central.registry.errors import Problem
from central.registry.kinds import (
    Building,
    Bus,
    Detector,
    Grid,
    Household,
    Placement,
    Record,
    Resident,
    Worker,
)
from central.store.registry import Kind
from device_profiles.schema import Profile
from wire.messages import BusConfig

ROLES = (
    "grid_worker",
    "community_lead",
    "dispatcher",
    "installer",
    "administrator",
    "volunteer",
    "auditor",
    "outside",
)
LANGUAGES = ("zh", "en")
TEXT_MAX = 200
CONTACTS_MAX = 8

_ID = re.compile(r"[a-z0-9-]{1,32}")
_CHANNEL = re.compile(r"[a-z0-9_-]{1,32}")
_ID_MEND = "Use 1 to 32 of: a-z, 0-9, hyphen."


def check(record: Record) -> list[Problem]:
    """All that is wrong with the record on its own; empty when nothing is."""
    return [*_common(record), *_special(record)]


def check_placement(placement: Placement, profile: Profile) -> list[Problem]:
    """Whether a device of this profile can answer under this address; empty when it can."""
    return list(_address(placement, profile))


def _common(record: Record) -> Iterator[Problem]:
    for name in ("id", "area", "community", "grid", "building", "household", "gateway"):
        value = getattr(record, name, None)
        if isinstance(value, str) and not _ID.fullmatch(value):
            yield Problem(name, f"{value!r} is not an id", "编号格式不对", _ID_MEND)
    for name in record.__dataclass_fields__:
        value = getattr(record, name)
        if isinstance(value, str):
            if len(value) > TEXT_MAX:
                yield Problem(
                    name, f"{len(value)} characters", "文字太长", f"At most {TEXT_MAX} characters fit."
                )
            if _controls(value):
                yield Problem(
                    name, "holds a control character", "含有控制字符", "Take line breaks and tabs out."
                )
    for name in ("name", "room"):
        value = getattr(record, name, None)
        if isinstance(value, str) and not value.strip() and name + record.__class__.__name__ != "nameGateway":
            yield Problem(name, "is empty", "不能为空", "Say what people call it.")
    lon, lat = getattr(record, "lon", None), getattr(record, "lat", None)
    if (lon is None) != (lat is None):
        yield Problem(
            "lon" if lon is None else "lat", "is missing", "经纬度要成对", "Give lon and lat, or neither."
        )
    for name, value, limit in (("lon", lon, 180), ("lat", lat, 90)):
        if value is not None and not -limit <= value <= limit:
            yield Problem(name, f"{value} is no place on earth", "经纬度超出范围", f"-{limit} to {limit}.")


def _controls(text: str) -> bool:
    return any(ord(char) < 32 or ord(char) == 127 for char in text)


def _special(record: Record) -> Iterator[Problem]:
    match record:
        case Building(floors=floors) if floors is not None and not 1 <= floors <= 200:
            yield Problem("floors", f"{floors} floors", "楼层数不对", "1 to 200.")
        case Household(floor=floor) if floor is not None and not -10 <= floor <= 200:
            yield Problem("floor", f"floor {floor}", "楼层不对", "-10 to 200.")
        case Resident():
            yield from _resident(record)
        case Worker():
            yield from _worker(record)
        case Bus():
            yield from _bus(record)
        case Detector(placement=placement):
            if placement is not None:
                yield from _common(placement)  # type: ignore[arg-type]  # a placement has the same field names
        case Grid() | Building() | Household() | _:
            return


def _resident(resident: Resident) -> Iterator[Problem]:
    if resident.birth_year is not None and not 1900 <= resident.birth_year <= 2100:
        yield Problem("birth_year", f"{resident.birth_year}", "出生年份不对", "Four digits, such as 1941.")
    for name in ("phone", "family_phone"):
        yield from _phone(name, getattr(resident, name))


def _phone(name: str, value: str) -> Iterator[Problem]:
    digits = re.sub(r"[ -]", "", value)
    if value and not (re.fullmatch(r"\+?[0-9 -]{3,20}", value) and re.fullmatch(r"\+?[0-9]{3,20}", digits)):
        yield Problem(
            name,
            "is not a telephone number",
            "电话号码格式不对",
            "Digits, spaces and hyphens, such as 027-82340001.",
        )


def _worker(worker: Worker) -> Iterator[Problem]:
    if worker.role not in ROLES:
        yield Problem("role", f"{worker.role!r} is unknown", "角色不对", f"One of: {', '.join(ROLES)}.")
    if worker.language not in LANGUAGES:
        yield Problem("language", f"{worker.language!r} is unknown", "语言不对", "zh or en.")
    if worker.role == "community_lead" and worker.community is None:
        yield Problem(
            "community", "is missing", "社区负责人要有社区", "Say which community this lead answers for."
        )
    if worker.role in ONLOOKERS and (worker.primary_grids or worker.backup_grids):
        yield Problem(
            "primary_grids" if worker.primary_grids else "backup_grids",
            f"a worker of role {worker.role} cannot take alarms",
            "外部人员不能担任网格岗位",
            "Take the grids out, or give another role.",
        )
    yield from _phone("phone", worker.phone)
    for both in sorted(set(worker.primary_grids) & set(worker.backup_grids)):
        yield Problem(
            "backup_grids",
            f"{both!r} is in primary_grids too",
            "同一网格不能既是主责又是备勤",
            "Keep it in one.",
        )
    for name, grids in (("primary_grids", worker.primary_grids), ("backup_grids", worker.backup_grids)):
        if len(set(grids)) != len(grids):
            yield Problem(name, "names a grid twice", "网格重复", "Name each grid once.")
    if len(worker.contacts) > CONTACTS_MAX:
        yield Problem(
            "contacts", f"{len(worker.contacts)} contacts", "联系方式太多", f"At most {CONTACTS_MAX}."
        )
    for contact in worker.contacts:
        size = len(contact.address.strip())
        if not (_CHANNEL.fullmatch(contact.channel) and 1 <= size <= TEXT_MAX) or _controls(contact.address):
            yield Problem(
                "contacts",
                f"channel {contact.channel!r} with an address of {len(contact.address)} characters",
                "联系方式格式不对",
                "Write channel:address, such as smtp:name@example.org.",
            )


def _bus(bus: Bus) -> Iterator[Problem]:
    try:
        bus_config(bus)
    except msgspec.ValidationError as error:
        text = str(error)
        field = text.rpartition("`$.")[2].rstrip("`") if "`$." in text else ""
        yield Problem(
            field, text.partition(" - at")[0], "总线设置不对", "See the columns of buses.csv in the manual."
        )
        return
    if bus.transport != "serial":
        host, colon, port = bus.address.rpartition(":")
        if not (colon and host and port.isdecimal() and 1 <= int(port) <= 65535):
            yield Problem(
                "address",
                f"{bus.address!r} is not host:port",
                "地址应为 主机:端口",
                "Such as 192.0.2.7:502.",
            )


def bus_config(bus: Bus) -> BusConfig:
    """The line as its gateway is told of it, without its detectors. Raises msgspec.ValidationError."""
    return msgspec.convert(
        {
            "bus": bus.id,
            "transport": bus.transport,
            "address": bus.address,
            "baud": bus.baud,
            "parity": bus.parity,
            "stop_bits": bus.stop_bits,
            "gap_ms": bus.gap_ms,
        },
        BusConfig,
    )


def _address(placement: Placement, profile: Profile) -> Iterator[Problem]:
    if not profile.unit_min <= placement.unit <= profile.unit_max:
        yield Problem(
            "unit",
            f"{placement.unit} is outside what {profile.id} can be set to",
            "地址超出设备范围",
            f"{profile.unit_min} to {profile.unit_max}.",
        )
    if profile.points is None:
        if placement.point is not None:
            yield Problem(
                "point", f"{profile.id} is one detector, no panel", "该型号没有回路点位", "Leave it empty."
            )
        return
    first, last = max(1, profile.points.first), profile.points.last
    if placement.point is None or not first <= placement.point <= last:
        yield Problem(
            "point",
            f"{placement.point} is no point of the panel {profile.id}",
            "点位超出面板范围",
            f"{first} to {last}.",
        )


def references(record: Record) -> list[tuple[str, Kind, str]]:
    """What the record refers to: (field, kind, id). A line is referred to as `gateway/bus`."""
    found: list[tuple[str, Kind, str]] = []
    parents: tuple[Kind, ...] = ("area", "community", "grid", "building", "household", "gateway")
    for kind in parents:
        value = getattr(record, kind, None)
        if isinstance(value, str):
            found.append((kind, kind, value))
    if isinstance(record, Worker):
        found += [("primary_grids", "grid", grid) for grid in record.primary_grids]
        found += [("backup_grids", "grid", grid) for grid in record.backup_grids]
    if isinstance(record, Detector) and record.placement is not None:
        place = record.placement
        found += [
            ("household", "household", place.household),
            ("gateway", "gateway", place.gateway),
            ("bus", "bus", f"{place.gateway}/{place.bus}"),
        ]
    return found


def missing(field: str, kind: Kind, name: str) -> Problem:
    """The problem of a reference to something that is not on record."""
    return Problem(
        field,
        f"there is no {kind} {name!r}",
        f"没有登记“{name}”",
        f"Register that {kind} first, or correct the id.",
    )
