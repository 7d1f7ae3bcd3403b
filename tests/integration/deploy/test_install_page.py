"""The installation page, in both languages: what it tells people to write is what the programs read."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

import central.config
import edge_agent.config
from central.__main__ import _parser as central_parser
from edge_agent.__main__ import _parser as edge_parser
from edge_agent.package import PackageError, verify
from tests.harness.programs import require_program

ROOT = Path(__file__).resolve().parents[3]
PAGES = [ROOT / "docs" / "install.md", ROOT / "docs" / "install.zh-CN.md"]
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_OURS = re.compile(r"(?:^|[\s`(])((?:deploy|docs|requirements|systemd)/[\w./$*-]+)")


def _blocks(page: Path, language: str) -> list[str]:
    return [text for name, text in _BLOCK.findall(page.read_text(encoding="utf-8")) if name == language]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_configuration_on_the_page_is_accepted(page: Path, tmp_path: Path) -> None:
    """Both programs take it as it stands."""
    centre, agent = _blocks(page, "toml")
    (tmp_path / "central.toml").write_text(centre, encoding="utf-8")
    (tmp_path / "edge.toml").write_text(agent, encoding="utf-8")
    for name in re.findall(r'_file = "([^"]+)"', centre + agent):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    settings = central.config.read_settings(tmp_path / "central.toml", {})
    assert (settings.broker.port, settings.broker.tls) == (8883, True)
    assert settings.http.public_url == "https://smoke.example.org"
    assert set(settings.channels) == {"webhook"}
    edge = edge_agent.config.read_settings(tmp_path / "edge.toml", {})
    assert (edge.mqtt.port, edge.mqtt.tls) == (8883, True)
    unit = (ROOT / "systemd" / "smokewatch-edge.service").read_text()
    assert f"StateDirectory={edge.state_dir.relative_to('/var/lib')}\n" in unit


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_the_page_names_is_there(page: Path) -> None:
    """A technician has only this page and the source."""
    named = set(_OURS.findall(page.read_text(encoding="utf-8")))
    assert len(named) >= 5
    for name in named:
        assert any(ROOT.glob(name)), name


def test_both_languages_give_the_same_commands() -> None:
    """Only the remarks are translated."""
    english, chinese = (
        [
            re.sub(r"\s+#.*", "", line).strip()
            for language in ("sh", "toml")
            for block in _blocks(page, language)
            for line in block.splitlines()
        ]
        for page in PAGES
    )
    assert english == chinese
    assert len(english) > 40


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_of_ours_on_the_page_is_one_that_the_programs_know(page: Path) -> None:
    """Each line that calls a program is put before that program's own parser."""
    parsers = {"central": central_parser(), "edge": edge_parser()}
    called = 0
    for block in _blocks(page, "sh"):
        for line in block.splitlines():
            found = re.search(r"smokewatch-(central|edge) ([a-z-]+.*?)(?:\s+#.*)?$", line)
            if found is None or "systemctl" in line or "journalctl" in line:
                continue
            words = found[2].split()
            if "--help" in words:
                words = words[:1] if words[0] != "admin" else ["admin", "token", "list"]
            parsers[found[1]].parse_args(words)
            called += 1
    assert called >= 7


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_the_page_signs_is_what_the_agent_accepts(page: Path, tmp_path: Path) -> None:
    """Keys and signature made by the page's own commands."""
    require_program("openssl", "openssl")
    lines = [line for block in _blocks(page, "sh") for line in block.splitlines()]
    commands = [line for line in lines if re.match(r"openssl (genpkey|pkey|pkeyutl) ", line)]
    assert len(commands) == 3
    package = tmp_path / "smokewatch-edge_0.2.0-py3.11_amd64.deb"
    package.write_bytes(b"what is signed")
    for command in commands:
        words = command.replace("/root/smokewatch-ca", str(tmp_path)).split()
        subprocess.run(words, cwd=tmp_path, check=True)
    verify(package, Path(f"{package}.sig"), tmp_path / "update.pub")
    package.write_bytes(b"what is sold")
    with pytest.raises(PackageError):
        verify(package, Path(f"{package}.sig"), tmp_path / "update.pub")
