"""Every channel there is, in an explicit list.

Adding one: a file beside these, a line in BUILDERS, the kit's tests. A table below `[channels]` has its
channel's name, or says it with `kind`: so there may be two of one kind. Its table `callback` is read by
`central.notifier.callbacks`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from central.config import ConfigError, Settings, nearest
from central.notifier.channel import Channel
from central.notifier.channels import (
    aliyun,
    apprise,
    console,
    dingtalk,
    feishu,
    gsm,
    smtp,
    tencent,
    webhook,
    wecom_app,
    wecom_bot,
)

Clock = Callable[[], datetime]
Builder = Callable[[Path, Mapping[str, Any], Mapping[str, str], Clock], Channel]

BUILDERS: Mapping[str, Builder] = {
    "console": lambda path, table, env, _clock: console.Console(console.read(path, table, env)),
    "webhook": lambda path, table, env, clock: webhook.Webhook(webhook.read(path, table, env), clock),
    "smtp": lambda path, table, env, _clock: smtp.Smtp(smtp.read(path, table, env)),
    "wecom_app": lambda path, table, env, clock: wecom_app.WecomApp(wecom_app.read(path, table, env), clock),
    "wecom_bot": lambda path, table, env, clock: wecom_bot.WecomBot(wecom_bot.read(path, table, env), clock),
    "dingtalk": lambda path, table, env, clock: dingtalk.DingTalk(dingtalk.read(path, table, env), clock),
    "feishu": lambda path, table, env, clock: feishu.Feishu(feishu.read(path, table, env), clock),
    "gsm": lambda path, table, env, _clock: gsm.Gsm(gsm.read(path, table, env)),
    "apprise": lambda path, table, env, _clock: apprise.Apprise(apprise.read(path, table, env)),
    "aliyun_sms": lambda path, table, env, clock: aliyun.AliyunSms(aliyun.read_sms(path, table, env), clock),
    "aliyun_voice": lambda path, table, env, clock: aliyun.AliyunVoice(
        aliyun.read_voice(path, table, env), clock
    ),
    "tencent_sms": lambda path, table, env, clock: tencent.TencentSms(
        tencent.read_sms(path, table, env), clock
    ),
    "tencent_voice": lambda path, table, env, clock: tencent.TencentVoice(
        tencent.read_voice(path, table, env), clock
    ),
}


def build_channels(settings: Settings, environment: Mapping[str, str], clock: Clock) -> dict[str, Channel]:
    """Every channel below `[channels]`.

    Raises ConfigError; also when there is none, for then nobody is told.
    """
    if not settings.channels:
        raise ConfigError(
            f"{settings.path}: channels: no channel is set up, so nobody would be told of an alarm:"
            f" add a table such as [channels.webhook] (known are {', '.join(BUILDERS)})"
        )
    built: dict[str, Channel] = {}
    for name, table in settings.channels.items():
        kind = table.get("kind", name)
        builder = BUILDERS.get(kind) if isinstance(kind, str) else None
        if builder is None:
            hint = nearest(str(kind), BUILDERS) or f": known are {', '.join(BUILDERS)}"
            raise ConfigError(f"{settings.path}: channels.{name}: unknown channel{hint}")
        own = {key: value for key, value in table.items() if key not in {"kind", "callback"}}
        try:
            built[name] = builder(settings.path, own, environment, clock)
        except ConfigError as error:
            raise ConfigError(str(error).replace(f"channels.{kind}", f"channels.{name}")) from None
        _check_links(settings, name, table)
    return built


def _check_links(settings: Settings, name: str, table: Mapping[str, Any]) -> None:
    """An approved text leads to our own pages: with another domain nobody could take an alarm."""
    ours = f"{settings.http.public_url}/a/"
    for purpose, template in table.get("templates", {}).items():
        text = template.get("text", "")
        if "/a/" in text and ours not in text:
            raise ConfigError(
                f"{settings.path}: channels.{name}.templates.{purpose}.text: its link does not begin with"
                f" {ours}: set http.public_url to the domain in the approved text"
            )
