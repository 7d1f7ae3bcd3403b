"""One scripted fire, from the register to the closed alarm, done as people would do it and measured.

What is counted comes from the far ends: the agents' own files, the telephone, the centre's own count.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from typing import Any

import httpx

from simulator.control import ask
from simulator.demo.phone import Message, Phone
from simulator.demo.system import System, wait_until
from simulator.parts import PartError

_DETECTOR = "d-007"
_TOKEN = re.compile(r"/a/([A-Za-z0-9_-]{16})$")


@dataclass(frozen=True, slots=True)
class Told:
    """What one scripted fire measured."""

    detectors: int
    alarm: int
    alarm_latency_s: float
    """From the flip of the register to the message in the webhook receiver."""
    delivered: int
    acknowledged: int
    closed: int
    events_recorded: int
    """By the agents, from their own files."""
    events_stored: int
    duplicates: int
    lost: int
    gateways: int
    grids: int


def play(system: System, phone: Phone) -> Told:
    """Wait until all is watched, light the fire, answer it, close it, count. Raises PartError when stuck."""
    site, street = system.site, system.street
    everybody = [detector for units in street.detectors.values() for detector, _ in units]
    _require(wait_until(lambda: _all_polled(system, everybody), 90), "not every detector is being polled")
    flipped = float(ask(site.control, "flip", _DETECTOR, on=True)["at"])
    message = phone.wait_for(_is_fire(flipped), 60)
    if message is None:
        raise PartError("no message about the fire came within 60 s; see the logs")
    with httpx.Client(timeout=10, follow_redirects=False, trust_env=False) as browser:
        link = str(message.body["link"])
        _require(_TOKEN.search(link) is not None, f"the message has no link: {link!r}")
        shown = browser.get(link)
        _require(shown.status_code == 200, f"the link answered {shown.status_code}")
        _post(browser, f"{link}/acknowledge", {})
        _post(browser, f"{link}/on-way", {})
        ask(site.control, "flip", _DETECTOR, on=False)
        _post(browser, f"{link}/close", {"disposition": "false_alarm", "cause": "cooking", "remark": "demo"})
        token = system.admin("token", "create", "--role", "viewer", "--name", f"demo-{flipped:.0f}")
        headers = {"Authorization": f"Bearer {token.split()[-1]}"}
        number = int(message.body["alarm"])

        def ended() -> dict[str, Any] | None:
            page = browser.get(f"{site.url}/api/alarms", params={"closed": "true"}, headers=headers).json()
            return next((line for line in page["alarms"] if line["id"] == number), None)

        _require(wait_until(lambda: ended() is not None, 60), "the alarm did not close")
        detail = browser.get(f"{site.url}/api/alarms/{number}", headers=headers).json()
    _require(wait_until(lambda: _drained(system), 60), "the outboxes do not drain")
    recorded = {gateway: system.outbox(gateway) for gateway in street.gateways}
    stored = {(row["gateway"], row["stream"]): row for row in _stored(system)}
    counts = [(one["highest_seq"], stored.get((gateway, one["stream"]))) for gateway, one in recorded.items()]
    what = [entry["what"] for entry in detail["timeline"]]
    return Told(
        detectors=len(everybody),
        alarm=number,
        alarm_latency_s=round(message.received - flipped, 3),
        delivered=sum(1 for m in phone.messages() if number in m.body.get("alarms", ())),
        acknowledged=what.count("acknowledged"),
        closed=what.count("closed"),
        events_recorded=sum(highest for highest, _ in counts),
        events_stored=sum(row["events"] for _, row in counts if row),
        duplicates=sum(row["events"] - row["distinct_events"] for _, row in counts if row),
        lost=sum(highest - (row["distinct_events"] if row else 0) for highest, row in counts),
        gateways=len(street.gateways),
        grids=len(street.files["grids"]),
    )


def as_json(told: Told) -> str:
    """One line."""
    return json.dumps(asdict(told), ensure_ascii=False)


def _is_fire(since: float) -> Any:
    def wanted(message: Message) -> bool:
        return message.received >= since and bool(message.body.get("urgent"))

    return wanted


def _all_polled(system: System, detectors: list[str]) -> bool:
    polls = ask(system.site.control, "polls")["polls"]
    return all(polls.get(detector, 0) >= 2 for detector in detectors)


def _drained(system: System) -> bool:
    return all(system.outbox(gateway)["depth"] == 0 for gateway in system.street.gateways)


def _stored(system: System) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(system.admin("lane", "list", "--json"))
    return rows


def _post(browser: httpx.Client, url: str, form: dict[str, str]) -> None:
    answer = browser.post(url, data=form)
    _require(answer.status_code == 303, f"POST {url.rsplit('/', 1)[1]} answered {answer.status_code}")


def _require(held: bool, why: str) -> None:
    if not held:
        raise PartError(why)
