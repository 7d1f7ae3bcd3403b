"""Readings as Parquet, a row group a piece. Only importer of pyarrow: optional, loaded when asked for."""

from __future__ import annotations

import importlib.util
import io

from central.store.export import Reading

MEDIA_TYPE = "application/vnd.apache.parquet"


def available() -> bool:
    """Whether this installation can write Parquet."""
    return importlib.util.find_spec("pyarrow") is not None


class ParquetPieces:
    """Makes one file out of pieces; `write` and `end` return the bytes that have come about meanwhile."""

    def __init__(self) -> None:
        import pyarrow as pa
        from pyarrow import parquet as pq

        moment = pa.timestamp("us", tz="UTC")
        self._schema = pa.schema(
            [
                ("gateway", pa.dictionary(pa.int32(), pa.string())),
                ("detector", pa.dictionary(pa.int32(), pa.string())),
                ("at", moment),
                ("received_at", moment),
                ("smoke", pa.float32()),
                ("temperature", pa.float32()),
                ("battery", pa.float32()),
                ("contamination", pa.float32()),
                ("status", pa.int32()),
            ]
        )
        self._table = pa.table
        self._sink = _Sink()
        self._writer = pq.ParquetWriter(pa.PythonFile(self._sink, mode="w"), self._schema, compression="zstd")

    def write(self, piece: list[Reading]) -> bytes:
        """One more row group; at least one row."""
        columns = dict(zip(Reading._fields, map(list, zip(*piece, strict=True)), strict=True))
        self._writer.write_table(self._table(columns, schema=self._schema))
        return self._sink.taken()

    def end(self) -> bytes:
        """The rest of the file."""
        self._writer.close()
        return self._sink.taken()


class _Sink(io.RawIOBase):
    """Keeps what is written until it is taken."""

    def __init__(self) -> None:
        self._kept = bytearray()
        self._at = 0

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        found = bytes(data)  # type: ignore[call-overload]
        self._kept += found
        self._at += len(found)
        return len(found)

    def tell(self) -> int:
        return self._at

    def taken(self) -> bytes:
        found = bytes(self._kept)
        self._kept.clear()
        return found
