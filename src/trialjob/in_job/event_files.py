"""Reads scalars out of the files that TensorBoard and W&B write, as they grow.

It decides what a whole record is: a torn end is left for the next look, and what fails its checksum is none.

Rule: standard library only, Python 3.8. A file is whatever a script has written under such a name: nothing in
it may break or stall the reader.
"""

from __future__ import annotations

import json
import math
import struct
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO

#: What is longer is a picture, a graph or a table, and is passed over.
LONGEST_RECORD = 1 << 18
_LONGEST_ROW = 1 << 22
_BLOCK = 32768
_WHOLE, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4
_MASK = 0xFFFFFFFF
#: Of a tensor: how its numbers are laid out, by the number of its type, and the field they are in otherwise.
_CONTENT = {1: "<f", 2: "<d", 3: "<i", 9: "<q"}
_SINGLE, _DOUBLE, _WHOLE_NUMBERS = 5, 6, (7, 10)


def _crc_table() -> list[int]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)  # noqa: PLW2901 - a register
        table.append(value)
    return table


_CRC = _crc_table()


def masked_crc(data: bytes) -> int:
    """CRC-32C, rotated and shifted as TensorFlow does to sums that it stores beside their data."""
    crc = _MASK
    for byte in data:
        crc = _CRC[(crc ^ byte) & 0xFF] ^ crc >> 8
    crc ^= _MASK
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & _MASK


# Protocol buffers: a message is a row of numbered fields


def fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """The fields of a message: numbers as they are, all else as bytes. Raises ValueError where it is none."""
    place = 0
    while place < len(data):
        key, place = _varint(data, place)
        kind = key & 7
        if kind == 0:
            value, place = _varint(data, place)
            yield key >> 3, value
            continue
        if kind not in (1, 2, 5):
            raise ValueError("no field of a message")
        size = {1: 8, 5: 4}.get(kind, 0)
        if kind == 2:  # noqa: PLR2004 - of the format
            size, place = _varint(data, place)
        if place + size > len(data):
            raise ValueError("a message ends within a field")
        yield key >> 3, data[place : place + size]
        place += size


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while place < len(data) and shift < 70:  # noqa: PLR2004 - ten bytes
        byte = data[place]
        value |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:  # noqa: PLR2004 - the last one
            return value, place
    raise ValueError("a message ends within a number")


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


# TensorBoard


def scalars(file: BinaryIO, offset: int) -> tuple[list[Any], int]:
    """The points behind ``offset`` in an event file, and how far the whole records go."""
    # A point is its name, its step, when (seconds since 1970), and the number.
    points: list[Any] = []
    while True:
        file.seek(offset)
        head = file.read(12)
        if len(head) < 12 or masked_crc(head[:8]) != _number("<I", head[8:]):  # noqa: PLR2004 - of the format
            return points, offset
        size = _number("<Q", head[:8])
        end = offset + 12 + size + 4
        if file.seek(0, 2) < end:
            return points, offset
        if size <= LONGEST_RECORD:
            file.seek(offset + 12)
            body, checksum = file.read(size), file.read(4)
            if masked_crc(body) == _number("<I", checksum):
                points += _of_event(body)
        offset = end


def _number(form: str, data: bytes) -> Any:  # noqa: ANN401 - an int or a float
    if len(data) != struct.calcsize(form):
        raise ValueError("a number of another length")
    return struct.unpack(form, data)[0]


def _of_event(body: bytes) -> list[Any]:
    when, step, found = 0.0, 0, []
    try:
        for number, value in fields(body):
            if number == 1:
                when = _number("<d", value)
            elif number == 2:  # noqa: PLR2004 - of the format
                step = _signed(value)
            elif number == 5:  # noqa: PLR2004 - of the format
                found += [_of_value(row) for name, row in fields(value) if name == 1]
    except (ValueError, TypeError, AttributeError):  # a field of another kind
        return []
    return [(tag, step, when, value) for tag, value in found if tag and value is not None]


def _of_value(row: bytes) -> tuple[str, float | None]:
    tag, value = "", None
    for number, given in fields(row):
        if number == 1:
            tag = given.decode("utf-8", "replace")
        elif number == 2:  # noqa: PLR2004 - of the format
            value = shortest(given)
        elif number == 8:  # noqa: PLR2004 - of the format
            value = _of_tensor(given)
    return tag, value


def _of_tensor(data: bytes) -> float | None:
    """The number of a tensor that is a single one."""
    kind, content, values, shape = 0, b"", [], b""
    for number, given in fields(data):
        if number == 1:
            kind = given
        elif number == 2:  # noqa: PLR2004 - of the format
            shape = given
        elif number == 4:  # noqa: PLR2004 - of the format
            content = given
        elif number in (_SINGLE, _DOUBLE):
            size = 4 if number == _SINGLE else 8
            values += [given[place : place + size] for place in range(0, len(given), size)]
        elif number in _WHOLE_NUMBERS:
            values += [given] if isinstance(given, int) else _packed(given)
    if any(number == 2 for number, _ in fields(shape)):  # noqa: PLR2004 - a dimension
        return None
    form = _CONTENT.get(kind)
    if form is None or len(values) > 1:
        return None
    if not values:
        values = [content]
    if isinstance(values[0], int):
        return float(_signed(values[0]))
    return shortest(values[0]) if form == "<f" else float(_number(form, values[0]))


def _packed(data: bytes) -> list[int]:
    numbers, place = [], 0
    while place < len(data):
        number, place = _varint(data, place)
        numbers.append(number)
    return numbers


def shortest(data: bytes) -> float:
    """A float of four bytes, by the fewest digits that mean it: 0.91 and not 0.9100000262260437."""
    value = float(_number("<f", data))
    if math.isfinite(value):
        for digits in range(6, 9):
            short = float(f"{value:.{digits}g}")
            try:
                if struct.pack("<f", short) == data:
                    return short
            except OverflowError:
                continue
    return value


# W&B


def history(file: BinaryIO, offset: int) -> tuple[list[Any], int]:
    """The points behind ``offset`` in a ``.wandb`` file, and how far the whole records go."""
    points: list[Any] = []
    if offset == 0:
        if len(file.read(7)) < 7:  # noqa: PLR2004 - its mark
            return points, 0
        offset = 7
    whole, body = offset, b""
    while True:
        if _BLOCK - offset % _BLOCK < 7:  # noqa: PLR2004 - no head fits there
            offset += _BLOCK - offset % _BLOCK
        file.seek(offset)
        head = file.read(7)
        if len(head) < 7:  # noqa: PLR2004 - of the format
            return points, whole
        checksum, size, kind = struct.unpack("<IHB", head)
        data = file.read(size)
        if len(data) < size or zlib.crc32(head[6:] + data) & _MASK != checksum:
            return points, whole
        offset += 7 + size
        body = data if kind in (_WHOLE, _FIRST) else body + data[: max(0, _LONGEST_ROW - len(body))]
        if kind in (_WHOLE, _LAST):
            points += _of_record(body)
            whole, body = offset, b""


def _of_record(body: bytes) -> list[Any]:
    row: dict[str, float] = {}
    step = None
    try:
        for number, value in fields(body):
            for inner, given in fields(value) if number == 2 and isinstance(value, bytes) else ():  # noqa: PLR2004
                if inner == 1:
                    row.update(_of_item(given))
                elif inner == 2:  # noqa: PLR2004 - of the format
                    step = next((_signed(found) for name, found in fields(given) if name == 1), 0)
    except (ValueError, TypeError, AttributeError):  # a field of another kind
        return []
    when = row.get("_timestamp", 0.0)
    at = int(row["_step"]) if "_step" in row else step or 0
    return [(name, at, when, value) for name, value in row.items() if not name.startswith("_")]


def _of_item(data: bytes) -> dict[str, float]:
    names, text = [], b""
    for number, given in fields(data):
        if number in (1, 2):
            names.append(given.decode("utf-8", "replace"))
        elif number == 16:  # noqa: PLR2004 - of the format
            text = given
    try:
        value = json.loads(text.decode("utf-8"))
    except ValueError:
        return {}
    if isinstance(value, str) and value in ("NaN", "Infinity", "-Infinity"):
        value = float(value.replace("Infinity", "inf"))
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return {}
    try:
        return {".".join(names): float(value)}
    except OverflowError:
        return {}
