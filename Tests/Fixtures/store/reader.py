"""Reads a sealed generation as Schema/FORMAT.md has it, and by nothing else: no line of the Swift code was looked at.

    python3 reader.py FILE

Verifies header, row checksums, manifest and root digest; then prints them, every area and every page of words. The first
thing that is not as the page says ends it with status 1.
"""
import sqlite3
import struct
import sys

MASK = (1 << 64) - 1
P1, P2, P3, P4, P5 = (0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63,
                      0x27D4EB2F165667C5)


def rotated(value, bits):
    return (value << bits | value >> 64 - bits) & MASK


def xxh64(data):
    """The xxHash specification 0.2, seed 0."""
    def mixed(lane, word):
        return rotated(lane + word * P2 & MASK, 31) * P1 & MASK

    place = 0
    if len(data) >= 32:
        lanes = [P1 + P2 & MASK, P2, 0, -P1 & MASK]
        while place + 32 <= len(data):
            words = struct.unpack_from("<4Q", data, place)
            lanes = [mixed(lane, word) for lane, word in zip(lanes, words)]
            place += 32
        value = sum(rotated(lane, bits) for lane, bits in zip(lanes, (1, 7, 12, 18))) & MASK
        for lane in lanes:
            value = ((value ^ mixed(0, lane)) * P1 + P4) & MASK
    else:
        value = P5
    value = value + len(data) & MASK
    while place + 8 <= len(data):
        value = (rotated(value ^ mixed(0, struct.unpack_from("<Q", data, place)[0]), 27) * P1 + P4) & MASK
        place += 8
    if place + 4 <= len(data):
        value = (rotated(value ^ struct.unpack_from("<I", data, place)[0] * P1 & MASK, 23) * P2 + P3) & MASK
        place += 4
    for byte in data[place:]:
        value = rotated(value ^ byte * P5 & MASK, 11) * P1 & MASK
    value = (value ^ value >> 33) * P2 & MASK
    value = (value ^ value >> 29) * P3 & MASK
    return value ^ value >> 32


def need(holds, what):
    if not holds:
        sys.exit(f"reader.py: {what}")


TABLES = ["generation", "feature", "unit", "unit_register", "memory_range", "iommu_group", "device", "reserved_region",
          "backing", "session", "ioas", "domain", "domain_unit", "hwpt", "attachment", "engine_state", "area_chunk",
          "lookup_chunk", "table_chunk", "event", "manifest", "seal"]


def encoded(value):
    if value is None:
        return b"\0"
    if isinstance(value, int):
        return b"\1" + struct.pack(">q", value)
    tag, content = (b"\3", value.encode()) if isinstance(value, str) else (b"\4", value)
    return tag + struct.pack(">QQ", len(content), xxh64(content))


def checked(database, number, name):
    """The rows of a table without their checksums, and the sum of those."""
    rows, total = [], 0
    for row in database.execute(f"SELECT * FROM {name}"):
        checksum = xxh64(struct.pack(">I", number) + b"".join(map(encoded, row[:-1])))
        need(row[-1] == struct.pack(">Q", checksum), f"{name}: checksum of {row[:2]}")
        rows.append(row[:-1])
        total = total + checksum & MASK
    return rows, total


def varint(data, place):
    value = shift = 0
    while True:
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
        shift += 7


def words(runs):
    if runs[0] == 0:
        return list(struct.unpack("<512Q", runs[1:]))
    need(runs[0] == 1, f"form {runs[0]}")
    found, place = [], 1
    while place < len(runs):
        head, place = varint(runs, place)
        first = stride = 0
        if head & 3:
            first, place = varint(runs, place)
        if head & 3 == 2:
            zigzag, place = varint(runs, place)
            stride = zigzag >> 1 ^ -(zigzag & 1)
        if head & 3 == 3:
            stride = 4096
        found += [first + k * stride & MASK for k in range(head >> 2)]
    need(len(found) == 512, f"{len(found)} words in a page")
    return found


def pages(kind, rows):
    for _, owner, first, last, count, directory, runs in sorted(rows, key=lambda row: (row[1], row[2], row[0])):
        need(len(directory) == 16 * count, "size of a directory")
        start, addresses = 0, []
        for address, level, zeros, end in struct.iter_unpack(">QB3sI", directory):
            need(address % 4096 == 0 and zeros == bytes(3), "directory record")
            found = struct.pack("<512Q", *words(runs[start:end]))
            print(f"{kind} {owner} {address:016x} {level} {xxh64(found):016x}")
            start = end
            addresses.append(address)
        need(start == len(runs), "end of the runs")
        need((addresses[0] >> 12, addresses[-1] >> 12) == (first, last), "pages of a row")


def areas(rows):
    for _, ioas, first, last, count, records in sorted(rows, key=lambda row: (row[1], row[2], row[0])):
        need(len(records) == 32 * count, "size of the records")
        found = list(struct.iter_unpack(">QQQIHH", records))
        need((found[0][0] >> 12, found[-1][1] >> 12) == (first, last), "pages of a row")
        for iova, end, offset, backing, protection, _ in found:
            print(f"area {ioas} {iova:016x} {end:016x} {backing} {offset:016x} {protection}")


def main(path):
    with open(path, "rb") as file:
        header = file.read(100)
    need(header[:16] == b"SQLite format 3\0", "magic")
    version, = struct.unpack_from(">I", header, 60)
    need(version in (1, 2) and header[68:72] == b"dmst", "application or version")
    database = sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)
    rows, sums = {}, {}
    for number, name in enumerate(TABLES, 1):
        rows[name], sums[name] = checked(database, number, name)
    manifest = {name: (count, total) for name, count, total in rows["manifest"]}
    (_, generation, nonce, root, tables, total, time, hash_name), = rows["seal"]
    need(hash_name == "xxh64" and tables == 20 == len(manifest), "tables of the seal")
    text = b"domstore" + struct.pack(">IIQQ", version, 20, generation, time)
    text += (b"\1" + nonce) if nonce else bytes(17)
    for number, name in enumerate(TABLES[:20], 1):
        need(manifest[name] == (len(rows[name]), struct.pack(">Q", sums[name])), f"manifest of {name}")
        text += struct.pack(">IQQ", number, len(rows[name]), sums[name])
    need(total == sum(len(rows[name]) for name in TABLES[:20]), "rows of the seal")
    need(root == struct.pack(">Q", xxh64(text)), "root digest")
    print(f"seal {generation}:{root.hex()}")
    areas(rows["area_chunk"])
    pages("table", rows["table_chunk"])
    pages("lookup", rows["lookup_chunk"])


main(sys.argv[1])
