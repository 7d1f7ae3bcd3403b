"""A fleet's registry files: the same names as on the wire. Pure: rows out, nothing in.

The formats are those of docs/examples/registry. Places and people are made up, one home for each detector.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from simulator.fleet.names import Names

HOMES_A_GRID = 300
ROWS_A_FILE = 50_000
"""At most so many homes in one file; a larger fleet becomes several folders."""
PROFILE = "smokewatch-reference"

Rows = Sequence[Mapping[str, object]]


def parts(names: Names) -> list[range]:
    """Gateways by number, so many together that their files are not too large to import."""
    many = max(1, ROWS_A_FILE // max(1, names.detectors))
    return [range(first, min(first + many, names.gateways)) for first in range(0, names.gateways, many)]


def registry(names: Names, gateways: range, channel: str) -> dict[str, Rows]:
    """Rows of each file for these gateways. People are told over `channel`."""
    grids = sorted({_grid(names, gateway) for gateway in gateways})
    areas = sorted({area for area, _ in grids})
    files: dict[str, Rows] = {
        "areas": [{"id": names.area(area), "name": f"模拟街道{area + 1}"} for area in areas],
        "communities": [
            {"id": _community(names, area), "area": names.area(area), "name": f"模拟社区{area + 1}"}
            for area in areas
        ],
        "grids": [
            {
                "id": _grid_id(names, area, grid),
                "community": _community(names, area),
                "name": f"模拟{area + 1}街道第{grid + 1}网格",
                "lon": round(114.0 + 0.004 * (grid % 50), 6),
                "lat": round(30.0 + 0.3 * area + 0.004 * (grid // 50), 6),
            }
            for area, grid in grids
        ],
        "buildings": [
            {
                "id": names.gateway(gateway),
                "grid": _grid_id(names, *_grid(names, gateway)),
                "name": f"模拟楼{gateway + 1}栋",
                "address": f"模拟路{gateway + 1}号",
                "floors": 30,
            }
            for gateway in gateways
        ],
        "workers": list(_workers(names, areas, grids, channel)),
        "gateways": [
            {
                "id": names.gateway(gateway),
                "area": names.area(names.area_number(gateway)),
                "name": f"模拟网关{gateway + 1}",
                "building": names.gateway(gateway),
            }
            for gateway in gateways
        ],
    }
    if names.detectors:
        homes = [(gateway, detector) for gateway in gateways for detector in range(names.detectors)]
        files["households"] = [
            {
                "id": names.detector(gateway, detector),
                "building": names.gateway(gateway),
                "floor": detector // 4 % 30 + 1,
                "room": f"{detector // 4 + 1}-{detector % 4 + 1}",
            }
            for gateway, detector in homes
        ]
        files["residents"] = [
            {
                "id": names.detector(gateway, detector),
                "household": names.detector(gateway, detector),
                "name": f"模拟住户{detector + 1}",
                "birth_year": 1930 + detector % 25,
            }
            for gateway, detector in homes
        ]
        files["buses"] = [
            {"gateway": names.gateway(gateway), "id": bus, "address": f"/dev/serial/by-id/{bus}"}
            for gateway in gateways
            for bus, _ in names.buses()
        ]
        files["detectors"] = [
            {
                "id": names.detector(gateway, detector),
                "profile": PROFILE,
                "household": names.detector(gateway, detector),
                "gateway": names.gateway(gateway),
                "bus": names.bus(detector)[0],
                "unit": names.bus(detector)[1],
            }
            for gateway, detector in homes
        ]
    return files


def _workers(
    names: Names, areas: Sequence[int], grids: Sequence[tuple[int, int]], channel: str
) -> Iterator[dict[str, object]]:
    for area, grid in grids:
        yield {
            **_person(names, area, f"w{area + 1:02d}-{grid + 1:05d}", "grid_worker", channel),
            "community": _community(names, area),
            "primary_grids": _grid_id(names, area, grid),
        }
    for area in areas:
        lead = _person(names, area, f"lead-{area + 1:02d}", "community_lead", channel)
        yield {**lead, "community": _community(names, area), "primary_grids": ""}
        desk = _person(names, area, f"desk-{area + 1:02d}", "dispatcher", channel)
        yield {**desk, "community": "", "primary_grids": ""}


def _person(names: Names, area: int, key: str, role: str, channel: str) -> dict[str, object]:
    worker = f"{names.fleet}-{key}"
    return {
        "id": worker,
        "area": names.area(area),
        "name": f"模拟人员 {key}",
        "role": role,
        "contacts": f"{channel}:{worker}",
    }


def _grid(names: Names, gateway: int) -> tuple[int, int]:
    """Street and number of the grid in which a gateway's homes lie."""
    many = max(1, HOMES_A_GRID // max(1, names.detectors)) if names.detectors else HOMES_A_GRID
    return names.area_number(gateway), gateway // names.areas // many


def _grid_id(names: Names, area: int, grid: int) -> str:
    return f"{names.fleet}-g{area + 1:02d}-{grid + 1:05d}"


def _community(names: Names, area: int) -> str:
    return f"{names.fleet}-c{area + 1:02d}"
