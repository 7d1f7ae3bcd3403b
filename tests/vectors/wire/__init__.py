"""The messages behind the golden files of `v1`, by file name. Add, never change: they are the contract."""

from __future__ import annotations

from wire.codec import seal_config
from wire.messages import (
    Ack,
    Action,
    Alive,
    Ask,
    BusConfig,
    BusStatus,
    Clock,
    Command,
    Condition,
    Contact,
    DetectorConfig,
    Event,
    EventBatch,
    EventKind,
    Lane,
    Parity,
    ReadingBatch,
    Status,
    Transport,
)

_STREAM = "0123456789abcdef0123456789abcdef"
_EPOCH = "fedcba9876543210fedcba9876543210"
_BOOT = "00112233445566778899aabbccddeeff"
_EARLIER = "ffeeddccbbaa99887766554433221100"
_AT = 1_795_000_000_000

MESSAGES = {
    "events_smallest": EventBatch(
        _STREAM, 1, 1, _BOOT, _BOOT, Clock(5, _AT), [Event(1, EventKind.CANARY, _AT, 4)]
    ),
    "events_every_kind": EventBatch(
        _STREAM,
        41,
        7,
        _EARLIER,
        _BOOT,
        Clock(123_456, _AT, -250, synchronised=True),
        [
            Event(
                41,
                EventKind.ASSERT,
                _AT,
                100,
                synchronised=True,
                condition=Condition.SMOKE,
                detector="d-0001",
                bus="bus-1",
                config_version=3,
                value=12.5,
                text="烟雾 smoke",
            ),
            Event(42, EventKind.CLEAR, _AT, 200, condition=Condition.SMOKE, detector="d-0001"),
            Event(43, EventKind.UNKNOWN, _AT, 300, condition=Condition.NO_RESPONSE, detector="d-0002"),
            Event(
                44,
                EventKind.SNAPSHOT,
                _AT,
                400,
                states={"d-0001": [], "d-0002": None, "d-0003": [Condition.TEST, Condition.LOW_BATTERY]},
            ),
            Event(45, EventKind.CANARY, -1, 500),
            Event(46, EventKind.NOTE, 0, 600, text='quoted " and \\ and \n'),
        ],
    ),
    "events_fallback": EventBatch(
        _STREAM,
        47,
        47,
        _BOOT,
        _BOOT,
        Clock(5, _AT),
        [
            Event(
                47, EventKind.FALLBACK, _AT, 4, condition=Condition.SMOKE, detector="d-0001", text="短信 SMS"
            )
        ],
    ),
    "readings": ReadingBatch(
        _STREAM,
        1000,
        900,
        _BOOT,
        Clock(5, _AT, 12),
        [_AT, _AT + 60_000],
        ["d-0001", "d-0002"],
        smoke=[0.25, None],
        temperature=[21.5, -3.0],
        status=[None, 65535],
    ),
    "status": Status(
        online=True,
        boot=_BOOT,
        version="0.1.0",
        uptime_s=12.5,
        clock=Clock(5, _AT, 12, synchronised=True),
        stream=_STREAM,
        outbox_depth=3,
        oldest_unacked_event_s=0.5,
        readings_dropped=1,
        buses=[BusStatus("bus-1", up=True, lap_age_s=0.5, last_lap_s=1.25, answering=31, silent=1, errors=7)],
        config_epoch=_EPOCH,
        config_version=3,
        config_hash="0" * 64,
        config_error="第一行 line 1",
        storage_error="full",
    ),
    "status_last_will": Status(online=False, boot=_BOOT),
    "status_with_a_hint": Status(
        online=True,
        boot=_BOOT,
        buses=[BusStatus(bus="bus-1", up=True, hint="A/B 接反? / A/B swapped?")],
    ),
    "status_brief": Status(online=True, boot=_BOOT, outbox_depth=2, oldest_unacked_event_s=0.5, brief=True),
    "ack": Ack(_STREAM, Lane.EVENTS, 46, _EPOCH, _AT, 123_456),
    "ack_that_asks": Ack(_STREAM, Lane.READINGS, 0, _EPOCH, _AT, None, list(Ask)),
    "alive": Alive(_EPOCH, _AT),
    "config": seal_config(
        _EPOCH,
        4,
        [
            BusConfig(
                "bus-1",
                Transport.SERIAL,
                "/dev/serial/by-id/usb-1",
                baud=19200,
                parity=Parity.EVEN,
                stop_bits=2,
                gap_ms=4.5,
                detectors=[DetectorConfig("d-0001", 1, "reference", allow_writes=True)],
            ),
            BusConfig(
                "bus-2",
                Transport.RTU_TCP,
                "10.0.0.7:4001",
                detectors=[DetectorConfig("d-0002", 2, "gst200", 17)],
            ),
        ],
        120.0,
    ),
    "config_that_names_helpers": seal_config(
        _EPOCH,
        5,
        [
            BusConfig(
                "bus-1",
                Transport.TCP,
                "10.0.0.7:502",
                detectors=[DetectorConfig("d-0001", 1, "reference", place="3栋2单元501 厨房")],
            )
        ],
        contacts=[Contact("+8613800000000", ["d-0001"]), Contact("110")],
        may_watch_nothing=True,
    ),
    "command": Command("c" * 32, Action.IDENTIFY, _AT, detector="d-0001", bus="bus-1"),
}
