"""Put something on record, or change it.

Law of this file: one verb for every kind; it checks, saves, notes who did it, and tells the gateways
concerned, all in the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from central.registry.check import bus_config, check, check_placement, missing, references
from central.registry.errors import MissingError, Problem, RegistryError, TakenError
from central.registry.kinds import (
    Area,
    Building,
    Bus,
    Community,
    Detector,
    Gateway,
    Grid,
    Household,
    Placement,
    Record,
    Resident,
    Worker,
)
from central.registry.watching import rebuild_all
from central.store import audit
from central.store import registry as rows
from central.store.pool import Tx
from device_profiles.schema import Profile

PLACES: Mapping[type[Record], rows.Place] = {
    Area: "area",
    Community: "community",
    Grid: "grid",
    Building: "building",
    Household: "household",
    Resident: "resident",
}
Profiles = Mapping[str, Profile]


async def register(
    tx: Tx, record: Record, *, by: str, profiles: Profiles, from_where: str = ""
) -> tuple[str, ...]:
    """Insert or update; the gateways that were given a new configuration.

    Raises RegistryError with everything that is wrong, MissingError for a reference to nothing, TakenError
    when somebody else holds the address.
    """
    if problems := check(record):
        raise RegistryError(problems)
    if absent := [missing(*ref) for ref in references(record) if not await rows.known(tx, ref[1], ref[2])]:
        raise MissingError(absent)
    touched = await save(tx, record, by=by, profiles=profiles)
    kind = type(record).__name__.lower()
    await audit.note(
        tx, who=by, action=f"register_{kind}", subject=f"{kind}:{record.id}", from_where=from_where
    )
    # A detector that is hung elsewhere by name may leave a gateway with none.
    return await _tell(tx, touched, by, may_watch_nothing=isinstance(record, Detector))


async def save(tx: Tx, record: Record, *, by: str, profiles: Profiles) -> set[str]:
    """Save a checked record; the gateways whose configuration must be rebuilt. The import calls this too."""
    match record:
        case Worker():
            # Whoever called this worker before, and whoever will from now on.
            before = await rows.gateways_of_worker(tx, record.id)
            await _save_worker(tx, record)
            return before | await rows.gateways_of_worker(tx, record.id)
        case Gateway():
            known = await rows.lock_gateway(tx, record.id)
            if known is not None and known["area"] != record.area:
                raise TakenError(
                    [
                        Problem(
                            "area",
                            f"gateway {record.id} belongs to area {known['area']}",
                            "网关不能换街道",
                            "Its area is part of its address; register it under another id.",
                        )
                    ]
                )
            await rows.save_gateway(tx, asdict(record), by)
            return {record.id}
        case Bus():
            settings = {key: value for key, value in asdict(record).items() if key not in {"gateway", "id"}}
            bus_config(record)
            await rows.save_bus(tx, record.gateway, record.id, settings)
            return {record.gateway}
        case Detector():
            return await _save_detector(tx, record, profiles)
        case _:
            return await save_places(tx, [record])


async def save_places(tx: Tx, records: Sequence[Record]) -> set[str]:
    """Save checked places of one kind; the gateways that say where they are."""
    kind = PLACES[type(records[0])]
    await rows.save_places(tx, kind, [asdict(record) for record in records])
    return await rows.gateways_of_places(tx, kind, [record.id for record in records])


async def place(
    tx: Tx, detector: str, placement: Placement, *, by: str, profiles: Profiles, from_where: str = ""
) -> tuple[str, ...]:
    """Hang a registered detector somewhere; where it hung before ends now. Errors as `register`."""
    row = await rows.lock_detector(tx, detector)
    if row is None:
        raise MissingError([missing("detector", "detector", detector)])
    record = Detector(
        id=detector, profile=row["profile"], serial_number=row["serial_number"], placement=placement
    )
    return await register(tx, record, by=by, profiles=profiles, from_where=from_where)


async def remove(tx: Tx, detector: str, *, by: str, from_where: str = "") -> tuple[str, ...]:
    """Take a detector off the wall: nobody watches it now. Raises MissingError when it hangs nowhere."""
    gateway = await rows.close_placement(tx, detector)
    if gateway is None:
        raise MissingError(
            [
                Problem(
                    "detector",
                    f"{detector!r} hangs nowhere",
                    "该探测器当前没有安装位置",
                    "Look it up with `detector list`.",
                )
            ]
        )
    await audit.note(
        tx, who=by, action="remove_detector", subject=f"detector:{detector}", from_where=from_where
    )
    # Whoever takes the last one off the wall by name means that nothing is watched there any more.
    return await _tell(tx, {gateway}, by, may_watch_nothing=True)


async def hang(tx: Tx, detector: str, placement: Placement, profile: Profile) -> set[str]:
    """End the present placement, begin this one; the gateways concerned. An equal one is left alone."""
    before = await rows.current_placement(tx, detector)
    wanted = asdict(placement)
    if before is not None and all(before[key] == value for key, value in wanted.items()):
        return {placement.gateway}
    if problems := check_placement(placement, profile):
        raise RegistryError(problems)
    for other in await rows.on_same_address(tx, placement.gateway, placement.bus, placement.unit, detector):
        shared = (
            profile.points is not None
            and other["profile"] == profile.id
            and other["point"] != placement.point
        )
        if not shared:
            at = f"{placement.gateway}/{placement.bus} unit {placement.unit}"
            point = "" if other["point"] is None else f" point {other['point']}"
            raise TakenError(
                [
                    Problem(
                        "unit",
                        f"{at}{point} is held by detector {other['detector']}"
                        f" in household {other['household']}",
                        f"总线地址已被探测器 {other['detector']} 占用",
                        "Set another address on the device, or remove that detector first.",
                    )
                ]
            )
    left = await rows.close_placement(tx, detector)
    await rows.open_placement(tx, detector, wanted)
    return {placement.gateway} if left is None else {placement.gateway, left}


def profile_of(record: Detector, profiles: Profiles) -> Profile:
    """The detector's model. Raises RegistryError when there is no such profile."""
    profile = profiles.get(record.profile)
    if profile is None:
        raise RegistryError(
            [
                Problem(
                    "profile",
                    f"there is no device profile {record.profile!r}",
                    "没有这种设备型号",
                    f"One of: {', '.join(sorted(profiles))}.",
                )
            ]
        )
    return profile


async def _save_detector(tx: Tx, record: Detector, profiles: Profiles) -> set[str]:
    profile = profile_of(record, profiles)
    await rows.save_detector(
        tx, {"id": record.id, "profile": record.profile, "serial_number": record.serial_number}
    )
    await rows.lock_detector(tx, record.id)
    if record.placement is not None:
        return await hang(tx, record.id, record.placement, profile)
    current = await rows.current_placement(tx, record.id)
    if current is None:
        return set()
    held = Placement(**{name: current[name] for name in Placement.__dataclass_fields__})
    if problems := check_placement(held, profile):
        raise RegistryError(problems)
    return {held.gateway}


async def _save_worker(tx: Tx, worker: Worker) -> None:
    grids = [{"grid": grid, "duty": "primary"} for grid in worker.primary_grids]
    grids += [{"grid": grid, "duty": "backup"} for grid in worker.backup_grids]
    contacts = [{"channel": contact.channel, "address": contact.address} for contact in worker.contacts]
    await rows.save_worker(tx, asdict(worker), grids, contacts)


async def _tell(tx: Tx, gateways: set[str], by: str, *, may_watch_nothing: bool = False) -> tuple[str, ...]:
    return tuple(await rebuild_all(tx, gateways, by, may_watch_nothing=may_watch_nothing))
