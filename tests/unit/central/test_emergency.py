"""`[auditor]` of the configuration: a mistake is named with the mend; nothing is shared with the worker."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from central.config import ConfigError, read_settings
from central.emergency import build_emergency, read_auditor

BASE = '[database]\ndsn = "host=db"\n[broker]\nhost = "mqtt"\n[channels.console]\n'
GOOD = (
    '[auditor]\ndead_man_url = "https://watch.example/ping/1"\n'
    '[[auditor.call]]\nchannel = "webhook"\naddress = "engineer"\n'
    '[auditor.channels.webhook]\nurl = "https://other.example/shout"\nsecret = "own"\n'
)


def parse(folder: Path, text: str, environment: dict[str, str]) -> object:
    path = folder / "central.toml"
    path.write_text(BASE + text)
    settings = read_settings(path, environment)
    auditor = read_auditor(settings, environment)
    if auditor is not None:
        build_emergency(settings, auditor, environment, lambda: datetime(2026, 1, 1, tzinfo=UTC))
    return auditor


def test_without_the_table_there_is_no_auditor_and_with_it_no_secret_is_shown(tmp_path: Path) -> None:
    """The address of the switch is a secret too."""
    assert parse(tmp_path, "", {}) is None
    shown = repr(parse(tmp_path, GOOD, {}))
    assert "engineer" in shown
    assert "watch.example" not in shown
    assert "own" not in shown


@pytest.mark.parametrize(
    ("text", "environment", "said"),
    [
        (GOOD.replace('"engineer"', '"engineer"\nadress = "x"'), {}, "auditor.call[0].adress: unknown key"),
        (GOOD.replace("dead_man_url", "dead_man"), {}, "auditor.dead_man: unknown key"),
        (GOOD.replace('channel = "webhook"', 'channel = "console"'), {}, "no [auditor.channels.console]"),
        (GOOD.replace("https://watch", "watch"), {}, "auditor.dead_man_url is no web address"),
        (GOOD.replace('secret = "own"\n', ""), {}, "auditor.channels.webhook.secret is missing"),
        (
            GOOD.replace('secret = "own"\n', ""),
            {"SMOKEWATCH_WEBHOOK_SECRET": "the worker's"},
            "set SMOKEWATCH_AUDITOR_WEBHOOK_SECRET",
        ),
    ],
)
def test_a_mistake_is_named_with_its_key_and_the_mend(
    tmp_path: Path, text: str, environment: dict[str, str], said: str
) -> None:
    """The worker's secrets are none of the auditor's."""
    with pytest.raises(ConfigError, match=said.replace("[", r"\[").replace(".", r"\.")):
        parse(tmp_path, text, environment)
