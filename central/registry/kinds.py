"""What can be registered. Law of this file: data only; the rules are in `check`.

The same records are the bodies of the API, the rows of the CSV import and the arguments of the commands.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """A street (街道): the partition of the whole."""

    id: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Community:
    """A community (社区) of an area."""

    id: str
    area: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """A grid (网格) of a few hundred homes. Longitude and latitude in WGS-84 degrees."""

    id: str
    community: str
    name: str
    lon: float | None = None
    lat: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Building:
    """A building of a grid. Longitude and latitude in WGS-84 degrees."""

    id: str
    grid: str
    name: str
    address: str = ""
    floors: int | None = None
    lon: float | None = None
    lat: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Household:
    """A home. `unit` is the staircase (单元); a floor below ground is negative."""

    id: str
    building: str
    unit: str = ""
    floor: int | None = None
    room: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Resident:
    """A person who lives there. Personal data: every look at it is in the audit log."""

    id: str
    household: str
    name: str
    birth_year: int | None = None
    phone: str = ""
    lives_alone: bool = True
    needs: str = ""
    """What a helper must know or bring."""
    family_name: str = ""
    family_phone: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """One way to reach a worker; a worker's contacts are tried in their order."""

    channel: str
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """A person who is told, and who goes."""

    id: str
    area: str
    name: str
    role: str
    """grid_worker, community_lead, dispatcher, installer, administrator, volunteer, auditor or outside."""
    community: str | None = None
    language: str = "zh"
    active: bool = True
    phone: str = ""
    """What a gateway calls by itself while the centre is silent (SMS, or a webhook that calls)."""
    primary_grids: tuple[str, ...] = ()
    backup_grids: tuple[str, ...] = ()
    contacts: tuple[Contact, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """A small computer in a cupboard that watches some lines."""

    id: str
    area: str
    name: str = ""
    building: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bus:
    """One line of a gateway: a serial port, or a host:port."""

    gateway: str
    id: str
    transport: str = "serial"
    """serial, tcp (Modbus TCP) or rtu_tcp (RTU frames through a serial server)."""
    address: str
    baud: int = 9600
    parity: str = "N"
    stop_bits: int = 1
    gap_ms: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where a detector hangs and how its gateway reaches it."""

    household: str
    gateway: str
    bus: str
    unit: int
    """Modbus unit id."""
    point: int | None = None
    """Which of a panel's points; null for a device that is one detector."""
    spot: str = ""
    allow_writes: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Detector:
    """A detector under its permanent id. Without a placement it lies on the shelf."""

    id: str
    profile: str
    serial_number: str = ""
    placement: Placement | None = field(default=None)


Place = Area | Community | Grid | Building | Household | Resident
Record = Place | Worker | Gateway | Bus | Detector
