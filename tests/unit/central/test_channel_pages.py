"""The pages on channels and templates say what the program does."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from central.config import read_settings
from central.notifier.channels import BUILDERS, build_channels
from central.notifier.fitting import WORDS, Template, faults

PAGES = Path(__file__).parents[3] / "docs" / "reference"
CHANNELS = (PAGES / "channels.md").read_text("utf-8")
TEMPLATES = (PAGES / "message-templates.md").read_text("utf-8")
GOOD = (
    '[database]\ndsn = "host=x"\n[broker]\nhost = "127.0.0.1"\n[http]\npublic_url = "https://fire.example"\n'
)
TENCENT = {
    "tencent_sms": ("kind", "building", "unit", "room", "time", "call"),
    "tencent_voice": ("kind", "building", "unit", "room", "call"),
}


def test_every_channel_and_every_word_is_on_the_page() -> None:
    """And each word's length."""
    for name in BUILDERS:
        assert f"| `{name}` |" in CHANNELS
    for name in WORDS:
        assert re.search(rf"\| .*`{name}`.* \|", CHANNELS)
    assert f"16 characters | {WORDS['code'].longest} |" in CHANNELS


@pytest.mark.parametrize("example", re.findall(r"```toml\n(.*?)```", CHANNELS, re.DOTALL))
def test_an_example_is_accepted_as_it_stands(tmp_path: Path, example: str) -> None:
    """With its secrets beside it."""
    for name in re.findall(r'_file = "([^"]+)"', example):
        (tmp_path / name).write_text("ntfy://topic" if name.endswith(".url") else "secret-of-an-example-0123")
    path = tmp_path / "central.toml"
    path.write_text(GOOD + example, "utf-8")
    assert build_channels(read_settings(path, {}), {}, lambda: datetime.fromtimestamp(0, UTC))


SUBMITTED = re.findall(r"最长 (\d+) 字[^\n]*\n\n```(\w+) (\w+)\n(.*?)\n```", TEMPLATES, re.DOTALL)


def test_there_is_a_text_for_an_alarm_on_each_channel_with_templates() -> None:
    """Aliyun's and Tencent's, spoken and written."""
    wanted = {"aliyun_sms", "aliyun_voice", "tencent_sms", "tencent_voice"}
    assert {channel for _, channel, purpose, _ in SUBMITTED if purpose == "alarm"} == wanted


@pytest.mark.parametrize(("said", "channel", "purpose", "text"), SUBMITTED)
def test_a_text_to_submit_fits_its_gaps_and_has_the_length_that_is_said(
    said: str, channel: str, purpose: str, text: str
) -> None:
    """The page's figure is the longest that can be sent."""
    if channel.startswith("aliyun"):
        mark, most = "${?}", 35
        gaps = tuple((name, name) for name in re.findall(r"\$\{(\w+)\}", text))
    else:
        mark, most = "{?}", 6
        gaps = tuple((str(place), name) for place, name in enumerate(TENCENT[channel], 1))
    template = Template("code", gaps, most)
    assert faults(template, text, mark, 500) == []
    whole = text
    for place, name in gaps:
        whole = whole.replace(mark.replace("?", place), "x" * min(most, WORDS[name].longest))
    assert f"{purpose} {len(whole)}" == f"{purpose} {said}"
