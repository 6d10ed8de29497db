"""TensorFlow's record files without TensorFlow: the framing of a TFRecord and the `tf.train.Example` inside.

Framing: length (uint64), masked CRC-32C of the length, data, masked CRC-32C of the data, all little-endian
(https://www.tensorflow.org/tutorials/load_data/tfrecord). An Example is a protocol buffer, a map from feature names to
lists of bytes, floats or whole numbers (tensorflow/core/example/example.proto); what hpcdl needs of it are the lists of
bytes and of whole numbers.
"""

import struct
from collections.abc import Iterator
from typing import BinaryIO

FRAME_BYTES = 16
"""What the framing adds to the data of a record: 12 bytes before, 4 behind."""

Features = dict[str, list[bytes] | list[int]]


def write_record(file: BinaryIO, data: bytes) -> None:
    """Append one record to a file."""
    length = struct.pack("<Q", len(data))
    file.write(length + struct.pack("<I", masked_crc(length)) + data + struct.pack("<I", masked_crc(data)))


def scan_records(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield the offset of the data of each record, and the data.

    Raises:
        ValueError: a checksum does not match or the file ends inside a record; the text says at which byte.
    """
    offset = 0
    while head := file.read(12):
        if len(head) < 12 or struct.unpack("<I", head[8:])[0] != masked_crc(head[:8]):
            raise ValueError(f"no record begins at byte {offset}: the file is cut, altered or no TFRecord")
        (length,) = struct.unpack("<Q", head[:8])
        data = file.read(length + 4)
        check_record(data, length, offset + 12)
        yield offset + 12, data[:length]
        offset += length + FRAME_BYTES


def check_record(data: bytes, length: int, offset: int) -> None:
    """Check the data of a record with the four bytes behind them.

    Raises:
        ValueError: they are cut, or do not match.
    """
    if len(data) != length + 4:
        raise ValueError(f"the file ends inside the record at byte {offset}")
    if struct.unpack("<I", data[length:])[0] != masked_crc(data[:length]):
        raise ValueError(f"the checksum of the record at byte {offset} does not match")


def masked_crc(data: bytes) -> int:
    """Return the CRC-32C of `data`, rotated and shifted as TFRecord wants it."""
    import google_crc32c

    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def encode_example(features: Features) -> bytes:
    """Return a `tf.train.Example` with lists of bytes and of whole numbers that are not negative."""
    entries = b""
    for key, values in features.items():
        if values and isinstance(values[0], int):
            kind, content = 3, _field(1, b"".join(_varint(int(value)) for value in values))  # packed
        else:
            kind, content = 1, b"".join(_field(1, bytes(value)) for value in values)  # type: ignore[arg-type]
        entries += _field(1, _field(1, key.encode()) + _field(2, _field(kind, content)))
    return _field(1, entries)


def decode_example(data: bytes) -> Features:
    """Return the features of a `tf.train.Example`; lists of floats are left out.

    Raises:
        ValueError: it is none.
    """
    features: Features = {}
    for _, entries in _fields(data):
        for _, entry in _fields(entries):
            pair = dict(_fields(entry))
            key = bytes(pair.get(1, b"")).decode()
            for kind, content in _fields(pair.get(2, b"")):
                if kind == 1:
                    features[key] = [bytes(value) for _, value in _fields(content)]
                elif kind == 3:
                    features[key] = _integers(content)
    return features


def _integers(content: bytes | memoryview) -> list[int]:
    found: list[int] = []
    for number, value in _fields(content, packed=found):
        raise ValueError(f"field {number} of a list of whole numbers holds {len(value)} bytes")
    return found


def _fields(data: bytes | memoryview, packed: list[int] | None = None) -> Iterator[tuple[int, memoryview]]:
    """Yield number and content of the length-delimited fields of a message.

    Args:
        packed: takes the whole numbers of field 1, which stand alone or packed; without it they are refused.
    """
    view, place = memoryview(data), 0
    while place < len(view):
        tag, place = _read_varint(view, place)
        if tag & 7 == 0 and packed is not None:
            value, place = _read_varint(view, place)
            packed.append(value)
            continue
        if tag & 7 != 2:
            raise ValueError(f"wire type {tag & 7} is none of an Example")
        length, place = _read_varint(view, place)
        if place + length > len(view):
            raise ValueError("a field is longer than its message")
        content, place = view[place : place + length], place + length
        if packed is None:
            yield tag >> 3, content
            continue
        inner = 0
        while inner < len(content):
            value, inner = _read_varint(content, inner)
            packed.append(value)


def _read_varint(view: memoryview, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if place >= len(view) or shift > 63:
            raise ValueError("a number is cut")
        byte = view[place]
        value |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:
            return value, place


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content
