"""An invented street of 58 grids with 120 detectors, the same at every start. Pure: rows out, nothing in.

Places, people and numbers are made up; the shape (six communities, 58 grids, one grid worker each,
detectors in the homes of elderly people living alone) is that of a real street office.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count

AREA = "qingxi"
AREA_NAME = "清溪街道"
GATEWAYS = 4
DETECTORS_PER_GATEWAY = 30
BUILDINGS_PER_GATEWAY = 3
BAUD = 19200

_COMMUNITIES = (
    ("xinyuan", "新园社区", 10),
    ("heping", "和平社区", 10),
    ("yanjiang", "沿江社区", 10),
    ("cuizhu", "翠竹社区", 10),
    ("dongfeng", "东风社区", 9),
    ("shuangqiao", "双桥社区", 9),
)
_SURNAMES = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗"
_GIVEN = (
    "秀英",
    "桂兰",
    "建国",
    "玉珍",
    "德明",
    "淑华",
    "志强",
    "凤英",
    "国栋",
    "素珍",
    "永福",
    "桂芳",
    "春生",
    "金凤",
    "文斌",
)
_NEEDS = (
    "",
    "",
    "",
    "听力不好，敲门要重 / hard of hearing, knock loudly",
    "行动不便，带轮椅 / walks badly, bring a wheelchair",
    "",
    "家中有制氧机 / oxygen concentrator in the flat",
    "备用钥匙在楼下小卖部 / spare key at the shop downstairs",
)
_SPOTS = ("厨房 kitchen", "卧室 bedroom", "客厅 living room")

Rows = Sequence[Mapping[str, object]]


@dataclass(frozen=True, slots=True)
class Street:
    """The registry as rows of each CSV file, and what hangs on each gateway's line."""

    files: Mapping[str, Rows]
    gateways: tuple[str, ...]
    detectors: Mapping[str, tuple[tuple[str, int], ...]]
    """Gateway -> (detector, unit)."""


def lay_out(line_of: Mapping[str, str], detectors_each: int | None = None) -> Street:
    """The street; `line_of` gives each gateway's serial device path."""
    per_building = (detectors_each or DETECTORS_PER_GATEWAY) // BUILDINGS_PER_GATEWAY
    communities = [{"id": key, "area": AREA, "name": name} for key, name, _ in _COMMUNITIES]
    grids = _grids()
    gateways = tuple(line_of)
    buildings: list[dict[str, object]] = []
    households: list[dict[str, object]] = []
    residents: list[dict[str, object]] = []
    detectors: list[dict[str, object]] = []
    on_line: dict[str, list[tuple[str, int]]] = {gateway: [] for gateway in gateways}
    number = count()
    for g, gateway in enumerate(gateways):
        for b in range(BUILDINGS_PER_GATEWAY):
            grid = grids[(g * 14 + b * 2) % len(grids)]
            building = f"b-{g + 1}{b + 1:02d}"
            name = f"{6 + g * 10 + b}栋"
            buildings.append(
                {
                    "id": building,
                    "grid": grid["id"],
                    "name": name,
                    "address": f"清溪路{20 + g * 30 + b * 2}号",
                    "floors": 7,
                    "lon": round(float(str(grid["lon"])) + 0.0006, 6),
                    "lat": round(float(str(grid["lat"])) + 0.0004, 6),
                }
            )
            for h in range(per_building):
                n = next(number)
                floor, unit = 1 + h % 7, 1 + h // 7
                home = f"h-{n + 1:03d}"
                households.append(
                    {
                        "id": home,
                        "building": building,
                        "unit": f"{unit}单元",
                        "floor": floor,
                        "room": f"{floor}0{1 + h % 2}",
                    }
                )
                residents.append(
                    {
                        "id": f"r-{n + 1:03d}",
                        "household": home,
                        "name": _SURNAMES[n % 20] + _GIVEN[n % 15],
                        "birth_year": 1932 + (n * 7) % 24,
                        "phone": f"1380000{n + 1:04d}",
                        "lives_alone": "是",
                        "needs": _NEEDS[n % len(_NEEDS)],
                        "family_name": _SURNAMES[n % 20] + "先生",
                        "family_phone": f"1390000{n + 1:04d}",
                    }
                )
                unit_id = len(on_line[gateway]) + 1
                detector = f"d-{n + 1:03d}"
                on_line[gateway].append((detector, unit_id))
                detectors.append(
                    {
                        "id": detector,
                        "profile": "smokewatch-reference",
                        "serial_number": str(serial_number(detector)),
                        "household": home,
                        "gateway": gateway,
                        "bus": "riser-1",
                        "unit": unit_id,
                        "spot": _SPOTS[n % 3],
                    }
                )
    files: dict[str, Rows] = {
        "areas": [{"id": AREA, "name": AREA_NAME}],
        "communities": communities,
        "grids": grids,
        "buildings": buildings,
        "households": households,
        "residents": residents,
        "workers": _workers(grids),
        "gateways": [
            {"id": gateway, "area": AREA, "name": f"{g + 1}号网关", "building": f"b-{g + 1}01"}
            for g, gateway in enumerate(gateways)
        ],
        "buses": [
            {"gateway": gateway, "id": "riser-1", "transport": "serial", "address": path, "baud": BAUD}
            for gateway, path in line_of.items()
        ],
        "detectors": detectors,
    }
    return Street(files, gateways, {gateway: tuple(units) for gateway, units in on_line.items()})


def serial_number(detector: str) -> int:
    """What the maker wrote on it."""
    return 200_000 + int(detector.removeprefix("d-"))


def _grids() -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for c, (community, name, size) in enumerate(_COMMUNITIES):
        for i in range(size):
            number = len(rows) + 1
            rows.append(
                {
                    "id": f"g-{number:02d}",
                    "community": community,
                    "name": f"{name.removesuffix('社区')}{i + 1:02d}网格",
                    "lon": round(114.300 + 0.0042 * (i % 5) + 0.022 * (c % 3), 6),
                    "lat": round(30.640 + 0.0036 * (i // 5) + 0.009 * (c // 3), 6),
                }
            )
    return rows


def _workers(grids: Rows) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for i, grid in enumerate(grids):
        neighbour = grids[(i + 1) % len(grids)]
        rows.append(
            _worker(
                f"w-{i + 1:02d}",
                _SURNAMES[(i * 3) % 20] + _GIVEN[(i * 4) % 15],
                "grid_worker",
                f"1370000{i + 1:04d}",
                community=str(grid["community"]),
                primary=str(grid["id"]),
                backup=str(neighbour["id"]),
            )
        )
    for c, (community, name, _) in enumerate(_COMMUNITIES):
        rows.append(
            _worker(
                f"lead-{c + 1}", f"{name}书记", "community_lead", f"1360000{c + 1:04d}", community=community
            )
        )
    rows.append(_worker("centre-1", "综治中心值班员", "dispatcher", "13500000001"))
    rows.append(_worker("installer-1", "安装维护班", "installer", "13500000009"))
    return rows


def _worker(
    key: str, name: str, role: str, phone: str, *, community: str = "", primary: str = "", backup: str = ""
) -> dict[str, object]:
    return {
        "id": key,
        "area": AREA,
        "name": name,
        "role": role,
        "community": community,
        "language": "zh",
        "active": "是",
        "primary_grids": primary,
        "backup_grids": backup,
        "contacts": f"webhook:{phone}",
    }
