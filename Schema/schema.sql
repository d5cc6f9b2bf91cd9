-- The schema of a generation file, version 2, as one commented text.
--
-- What a file really contains is the newest Migrations/*_whole.sql, or the result of running the migrations in order; a
-- test proves that all three are equal.
-- What the bytes mean (units, ranges, invariants, checksums) stands in FORMAT.md.
--
-- Conventions: addresses are 4 KiB page numbers in columns named ..._page (0 to 2^52 - 1), or 8 bytes big-endian where
-- single bytes matter. A `last` is inclusive. Booleans are 0 or 1. The last column of every table is the row's checksum.
-- Where a text is one of three or more, the check is a chain of comparisons: SQLite makes a table of a longer IN list, for
-- every row that is written.

-- What this file is. One row.
CREATE TABLE generation (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    number INTEGER NOT NULL CHECK (number >= 1),
    -- 'engine' or 'imported'.
    origin TEXT NOT NULL CHECK (origin IN ('engine', 'imported')),
    -- The generation this engine was restored from, and that one's root digest; both or none.
    parent_number INTEGER CHECK (parent_number >= 1),
    parent_root BLOB CHECK (length(parent_root) = 8),
    -- Sizes of the fixed records inside chunks, in bytes.
    area_record_bytes INTEGER NOT NULL CHECK (area_record_bytes = 32),
    directory_record_bytes INTEGER NOT NULL CHECK (directory_record_bytes = 16),
    checksum BLOB NOT NULL CHECK (length(checksum) = 8),
    CHECK ((parent_number IS NULL) = (parent_root IS NULL))
) STRICT;

-- What a reader must know (required) or may ignore beyond the version number.
CREATE TABLE feature (
    bit INTEGER PRIMARY KEY CHECK (bit BETWEEN 0 AND 62),
    name TEXT NOT NULL,
    required INTEGER NOT NULL CHECK (required IN (0, 1)),
    checksum BLOB NOT NULL CHECK (length(checksum) = 8)
) STRICT;

-- An IOMMU unit. Its register base is its token across generations.
CREATE TABLE unit (
    id INTEGER PRIMARY KEY CHECK (id BETWEEN 0 AND 4294967295),
    kind TEXT NOT NULL CHECK (kind = 'intel-vtd' OR kind = 'amd-vi' OR kind = 'arm-smmuv3' OR kind = 'riscv'),
    segment INTEGER NOT NULL CHECK (segment BETWEEN 0 AND 4294967295),
    register_base_page INTEGER NOT NULL CHECK (register_base_page BETWEEN 0 AND 4503599627370495),
    host_address_width INTEGER NOT NULL CHECK (host_address_width BETWEEN 0 AND 255),
    -- The bit of a physical address that says "encrypted" (SME's C-bit); NULL: none.
    encryption_bit INTEGER CHECK (encryption_bit BETWEEN 12 AND 51),
    -- 1: the unit sets accessed and dirty bits in table entries while it walks.
    accessed_dirty INTEGER NOT NULL CHECK (accessed_dirty IN (0, 1)),
    checksum BLOB NOT NULL CHECK (length(checksum) = 8)
) STRICT;

-- One register of a unit.
CREATE TABLE unit_register (
    unit INTEGER NOT NULL REFERENCES unit (id),
    name TEXT NOT NULL,
    value BLOB NOT NULL CHECK (length(value) = 8),
    checksum BLOB NOT NULL CHECK (length(checksum) = 8),
    PRIMARY KEY (unit, name)
) STRICT, WITHOUT ROWID;

-- A range of the machine's physical memory, whole pages.
CREATE TABLE memory_range (
    first_page INTEGER NOT NULL CHECK (first_page BETWEEN 0 AND 4503599627370495),
    last_page INTEGER NOT NULL CHECK (last_page BETWEEN 0 AND 4503599627370495),
    kind TEXT NOT NULL CHECK (kind = 'ram' OR kind = 'handover' OR kind = 'arena'),
    checksum BLOB NOT NULL CHECK (length(checksum) = 8),
    PRIMARY KEY (first_page, last_page, kind),
    CHECK (first_page <= last_page)
) STRICT, WITHOUT ROWID;

-- An IOMMU group and the owner of its DMA.
CREATE TABLE iommu_group (
    id INTEGER PRIMARY KEY CHECK (id BETWEEN 0 AND 4294967295),
    owner TEXT NOT NULL CHECK (owner = 'none' OR owner = 'token' OR owner = 'vfio'),
    owner_token BLOB NOT NULL CHECK (length(owner_token) = 8),
    owner_assumed INTEGER NOT NULL CHECK (owner_assumed IN (0, 1)),
    checksum BLOB NOT NULL CHECK (length(checksum) = 8)
) STRICT;

-- A requester id on a segment.
CREATE TABLE device (
    segment INTEGER NOT NULL CHECK (segment BETWEEN 0 AND 4294967295),
    -- Bus 15:8, device 7:3, function 2:0.
    rid INTEGER NOT NULL CHECK (rid BETWEEN 0 AND 65535),
    unit INTEGER NOT NULL REFERENCES unit (id),
    iommu_group INTEGER NOT NULL REFERENCES iommu_group (id),
    has_function INTEGER NOT NULL CHECK (has_function IN (0, 1)),
    vendor_id INTEGER NOT NULL CHECK (vendor_id BETWEEN 0 AND 65535),
    device_id INTEGER NOT NULL CHECK (device_id BETWEEN 0 AND 65535),
    class_code INTEGER NOT NULL CHECK (class_code BETWEEN 0 AND 4294967295),
    driver TEXT NOT NULL,
    ats_enabled INTEGER NOT NULL CHECK (ats_enabled IN (0, 1)),
    pri_enabled INTEGER NOT NULL CHECK (pri_enabled IN (0, 1)),
    preserved INTEGER NOT NULL CHECK (preserved IN (0, 1)),
    checksum BLOB NOT NULL CHECK (length(checksum) = 8),
    PRIMARY KEY (segment, rid)
) STRICT, WITHOUT ROWID;

-- A reserved region of a group's I/O address space; need not be whole pages.
CREATE TABLE reserved_region (
    iommu_group INTEGER NOT NULL REFERENCES iommu_group (id),
    first_iova BLOB NOT NULL CHECK (length(first_iova) = 8),
    last_iova BLOB NOT NULL CHECK (length(last_iova) = 8),
    kind TEXT NOT NULL CHECK (kind = 'direct' OR kind = 'direct-relaxable' OR kind = 'reserved' OR kind = 'msi'
        OR kind = 'sw-msi'),
    checksum BLOB NOT NULL CHECK (length(checksum) = 8),
    PRIMARY KEY (iommu_group, first_iova, last_iova, kind),
    CHECK (first_iova <= last_iova)
) STRICT, WITHOUT ROWID;

-- Memory that areas are backed by.
CREATE TABLE backing (
    id INTEGER PRIMARY KEY CHECK (id BETWEEN 0 AND 4294967295),
    kind TEXT NOT NULL CHECK (kind IN ('physical', 'memfd')),
    base_page INTEGER NOT NULL CHECK (base_page BETWEEN 0 AND 4503599627370495),
    byte_count INTEGER NOT NULL CHECK (byte_count >= 0),
    is_sealed INTEGER NOT NULL CHECK (is_sealed IN (0, 1)),
    is_assumed INTEGER NOT NULL CHECK (is_assumed IN (0, 1)),
    checksum BLOB NOT NULL CHECK (length(checksum) = 8)
) STRICT;

-- A live-update session.
CREATE TABLE session (
    id INTEGER PRIMARY KEY CHECK (id BETWEEN 0 AND 4294967295),
    name TEXT NOT NULL,
    checksum BLOB NOT NULL CHECK (length(checksum) = 8)
) STRICT;

-- An I/O address space of iommufd.
CREATE TABLE ioas (
    id INTEGER PRIMARY KEY CHECK (id BETWEEN 0 AND 4294967295),
    -- 'declared': the areas are an independent witness; 'derived': they were read off the tables.
    area_origin TEXT NOT NULL CHECK (area_origin IN ('declared', 'derived')),
    is_immutable INTEGER NOT NULL CHECK (is_immutable IN (0, 1)),
    checksum BLOB NOT NULL CHECK (length(checksum) = 8)
) STRICT;

-- A translation domain.
CREATE TABLE domain (
    id INTEGER PRIMARY KEY CHECK (id BETWEEN 0 AND 4294967295),
    kind TEXT NOT NULL CHECK (kind = 'paging' OR kind = 'identity' OR kind = 'blocked' OR kind = 'nested'),
    holder TEXT NOT NULL CHECK (holder = 'iommufd' OR holder = 'session' OR holder = 'record' OR holder = 'core'),
    -- Of a nested domain: the one whose tables are its second stage. Deferred: domains are written in the order of ids.
    parent INTEGER REFERENCES domain (id) DEFERRABLE INITIALLY DEFERRED,
    preserved INTEGER NOT NULL CHECK (preserved IN (0, 1)),
    checksum BLOB NOT NULL CHECK (length(checksum) = 8),
    CHECK ((parent IS NOT NULL) = (kind = 'nested'))
) STRICT;

-- A domain on one unit: root and geometry of its tables there (all or none).
CREATE TABLE domain_unit (
    domain INTEGER NOT NULL REFERENCES domain (id),
    unit INTEGER NOT NULL REFERENCES unit (id),
    -- 'armv8-s1' and 'riscv' are reserved: nothing writes or reads them yet.
    format TEXT CHECK (format = 'vtd-second-stage' OR format = 'amd-v1' OR format = 'x86-64' OR format = 'armv8-s1'
        OR format = 'armv8-s2' OR format = 'riscv'),
    -- Of a nested domain: a page of the guest's addresses.
    root_page INTEGER CHECK (root_page BETWEEN 0 AND 4503599627370495),
    -- Level 0 maps 4 KiB.
    top_level INTEGER CHECK (top_level BETWEEN 0 AND 255),
    address_bits INTEGER CHECK (address_bits BETWEEN 0 AND 64),
    -- 1: two halves of addresses translate, sign-extended.
    sign_extended INTEGER CHECK (sign_extended IN (0, 1)),
    -- Bits that the unit sets in table entries by itself (accessed, dirty); 8 bytes big-endian.
    hardware_updated_mask BLOB CHECK (length(hardware_updated_mask) = 8),
    checksum BLOB NOT NULL CHECK (length(checksum) = 8),
    PRIMARY KEY (domain, unit),
    CHECK ((format IS NULL) = (root_page IS NULL)
        AND (format IS NULL) = (top_level IS NULL)
        AND (format IS NULL) = (address_bits IS NULL)
        AND (format IS NULL) = (sign_extended IS NULL)
        AND (format IS NULL) = (hardware_updated_mask IS NULL))
) STRICT, WITHOUT ROWID;

-- A hardware page table object: the iommufd side of a domain.
CREATE TABLE hwpt (
    id INTEGER PRIMARY KEY CHECK (id BETWEEN 0 AND 4294967295),
    ioas INTEGER NOT NULL REFERENCES ioas (id),
    domain INTEGER NOT NULL REFERENCES domain (id),
    -- The token it is preserved under; NULL when it is not marked.
    token BLOB CHECK (length(token) = 8),
    checksum BLOB NOT NULL CHECK (length(checksum) = 8)
) STRICT;

-- What one device's requests are translated by. At most one row per device and PASID, and one for its untagged requests.
CREATE TABLE attachment (
    segment INTEGER NOT NULL,
    rid INTEGER NOT NULL,
    -- 1: requests with the PASID; 0: requests without a PASID, which is not PASID 0.
    tagged INTEGER NOT NULL CHECK (tagged IN (0, 1)),
    pasid INTEGER NOT NULL CHECK (pasid BETWEEN 0 AND 1048575),
    domain INTEGER NOT NULL REFERENCES domain (id),
    -- Key of its cache entries on the unit: the tag, and the PASID where it is part of the key. NULL: none.
    cache_tag INTEGER CHECK (cache_tag BETWEEN 0 AND 4294967295),
    cache_pasid INTEGER CHECK (cache_pasid BETWEEN 0 AND 1048575),
    -- Where the lookup entry stands in memory; 8 bytes big-endian.
    entry_address BLOB CHECK (length(entry_address) = 8),
    checksum BLOB NOT NULL CHECK (length(checksum) = 8),
    PRIMARY KEY (segment, rid, tagged, pasid),
    FOREIGN KEY (segment, rid) REFERENCES device (segment, rid),
    CHECK (tagged = 1 OR pasid = 0),
    CHECK (cache_pasid IS NULL OR cache_tag IS NOT NULL)
) STRICT, WITHOUT ROWID;

-- Whatever bit-for-bit replay of the engine needs beside the records.
CREATE TABLE engine_state (
    name TEXT NOT NULL PRIMARY KEY,
    bytes BLOB NOT NULL,
    checksum BLOB NOT NULL CHECK (length(checksum) = 8)
) STRICT, WITHOUT ROWID;

-- Areas of one IOAS as 32-byte big-endian records, ascending.
CREATE TABLE area_chunk (
    id INTEGER PRIMARY KEY CHECK (id >= 1),
    ioas INTEGER NOT NULL REFERENCES ioas (id),
    first_page INTEGER NOT NULL CHECK (first_page BETWEEN 0 AND 4503599627370495),
    last_page INTEGER NOT NULL CHECK (last_page BETWEEN 0 AND 4503599627370495),
    record_count INTEGER NOT NULL CHECK (record_count BETWEEN 1 AND 4096),
    records BLOB NOT NULL CHECK (length(records) = 32 * record_count),
    checksum BLOB NOT NULL CHECK (length(checksum) = 8)
) STRICT;

-- Pages of root, context, device and PASID tables and other lookup structures of one unit.
CREATE TABLE lookup_chunk (
    id INTEGER PRIMARY KEY CHECK (id >= 1),
    unit INTEGER NOT NULL REFERENCES unit (id),
    first_page INTEGER NOT NULL CHECK (first_page BETWEEN 0 AND 4503599627370495),
    last_page INTEGER NOT NULL CHECK (last_page BETWEEN 0 AND 4503599627370495),
    page_count INTEGER NOT NULL CHECK (page_count BETWEEN 1 AND 256),
    -- 16 bytes a page: address, structure, end of its runs.
    directory BLOB NOT NULL CHECK (length(directory) = 16 * page_count),
    runs BLOB NOT NULL,
    checksum BLOB NOT NULL CHECK (length(checksum) = 8)
) STRICT;

-- Page-table pages of one domain.
CREATE TABLE table_chunk (
    id INTEGER PRIMARY KEY CHECK (id >= 1),
    domain INTEGER NOT NULL REFERENCES domain (id),
    first_page INTEGER NOT NULL CHECK (first_page BETWEEN 0 AND 4503599627370495),
    last_page INTEGER NOT NULL CHECK (last_page BETWEEN 0 AND 4503599627370495),
    page_count INTEGER NOT NULL CHECK (page_count BETWEEN 1 AND 256),
    -- 16 bytes a page: address, level, end of its runs.
    directory BLOB NOT NULL CHECK (length(directory) = 16 * page_count),
    runs BLOB NOT NULL,
    checksum BLOB NOT NULL CHECK (length(checksum) = 8)
) STRICT;

-- The journal of events.
CREATE TABLE event (
    sequence INTEGER PRIMARY KEY CHECK (sequence >= 1),
    time_nanoseconds INTEGER NOT NULL CHECK (time_nanoseconds >= 0),
    kind TEXT NOT NULL CHECK (kind = 'start' OR kind = 'operation' OR kind = 'phase' OR kind = 'fault'
        OR kind = 'verdict' OR kind = 'revoke'),
    name TEXT NOT NULL,
    -- name=value pairs separated by one space.
    arguments TEXT NOT NULL,
    errno INTEGER CHECK (errno >= 1),
    checksum BLOB NOT NULL CHECK (length(checksum) = 8)
) STRICT;

-- Written by the seal: one row per table that holds records.
CREATE TABLE manifest (
    table_name TEXT NOT NULL PRIMARY KEY,
    row_count INTEGER NOT NULL CHECK (row_count >= 0),
    checksum_sum BLOB NOT NULL CHECK (length(checksum_sum) = 8),
    checksum BLOB NOT NULL CHECK (length(checksum) = 8)
) STRICT, WITHOUT ROWID;

-- Written by the seal, last. A file with this row is sealed.
CREATE TABLE seal (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    generation INTEGER NOT NULL CHECK (generation >= 1),
    -- 16 random bytes that also stand in surviving memory; NULL when nothing was handed over (import).
    nonce BLOB CHECK (length(nonce) = 16),
    root BLOB NOT NULL CHECK (length(root) = 8),
    table_count INTEGER NOT NULL CHECK (table_count >= 0),
    row_count INTEGER NOT NULL CHECK (row_count >= 0),
    time_nanoseconds INTEGER NOT NULL CHECK (time_nanoseconds >= 0),
    hash TEXT NOT NULL CHECK (hash = 'xxh64'),
    checksum BLOB NOT NULL CHECK (length(checksum) = 8)
) STRICT;

-- Views: the listings of the command line. Addresses are '0x' and 16 lower-case hex digits; built-in functions only.

CREATE VIEW generation_view AS
SELECT g.number AS generation, g.origin AS origin, g.parent_number AS parent,
    lower(hex(g.parent_root)) AS parent_root, s.id IS NOT NULL AS sealed,
    CASE WHEN s.id IS NOT NULL THEN lower(hex(s.root)) END AS root,
    CASE WHEN s.nonce IS NOT NULL THEN lower(hex(s.nonce)) END AS nonce,
    s.time_nanoseconds AS time_nanoseconds, s.row_count AS rows
FROM generation AS g LEFT JOIN seal AS s ON s.generation = g.number;

CREATE VIEW manifest_view AS
SELECT table_name AS "table", row_count AS rows, lower(hex(checksum_sum)) AS checksum_sum FROM manifest;

CREATE VIEW unit_view AS
SELECT u.id AS unit, u.kind AS kind, u.segment AS segment, printf('0x%013x000', u.register_base_page) AS register_base,
    u.host_address_width AS host_address_width, u.encryption_bit AS encryption_bit, u.accessed_dirty AS accessed_dirty,
    (SELECT count(*) FROM device AS d WHERE d.unit = u.id) AS devices
FROM unit AS u ORDER BY u.id;

CREATE VIEW unit_register_view AS
SELECT unit, name, '0x' || lower(hex(value)) AS value FROM unit_register ORDER BY unit, name;

CREATE VIEW memory_range_view AS
SELECT printf('0x%013x000', first_page) AS address, printf('0x%013xfff', last_page) AS last, kind
FROM memory_range ORDER BY first_page, last_page, kind;

CREATE VIEW group_view AS
SELECT g.id AS "group", g.owner AS owner, '0x' || lower(hex(g.owner_token)) AS owner_token,
    g.owner_assumed AS owner_assumed, (SELECT count(*) FROM device AS d WHERE d.iommu_group = g.id) AS devices
FROM iommu_group AS g ORDER BY g.id;

CREATE VIEW device_view AS
SELECT printf('%04x:%02x:%02x.%x', segment, rid >> 8, (rid >> 3) & 31, rid & 7) AS device, unit, iommu_group AS "group",
    has_function AS function, printf('0x%04x', vendor_id) AS vendor_id, printf('0x%04x', device_id) AS device_id,
    printf('0x%06x', class_code) AS class_code, driver, ats_enabled AS ats, pri_enabled AS pri, preserved
FROM device ORDER BY segment, rid;

CREATE VIEW reserved_region_view AS
SELECT iommu_group AS "group", '0x' || lower(hex(first_iova)) AS iova, '0x' || lower(hex(last_iova)) AS last, kind
FROM reserved_region ORDER BY iommu_group, first_iova, last_iova, kind;

CREATE VIEW backing_view AS
SELECT id AS backing, kind, printf('0x%013x000', base_page) AS base, byte_count, is_sealed AS sealed,
    is_assumed AS assumed
FROM backing ORDER BY id;

CREATE VIEW session_view AS
SELECT id AS session, name FROM session ORDER BY id;

CREATE VIEW ioas_view AS
SELECT i.id AS ioas, i.area_origin AS origin, i.is_immutable AS immutable,
    (SELECT coalesce(sum(c.record_count), 0) FROM area_chunk AS c WHERE c.ioas = i.id) AS areas,
    (SELECT count(*) FROM hwpt AS h WHERE h.ioas = i.id) AS hwpts
FROM ioas AS i ORDER BY i.id;

CREATE VIEW domain_view AS
SELECT d.id AS domain, d.kind AS kind, d.holder AS holder, d.parent AS parent, d.preserved AS preserved,
    u.unit AS unit, u.format AS format,
    CASE WHEN u.root_page IS NOT NULL THEN printf('0x%013x000', u.root_page) END AS root,
    u.top_level AS top_level, u.address_bits AS address_bits, u.sign_extended AS sign_extended,
    CASE WHEN u.hardware_updated_mask IS NOT NULL THEN '0x' || lower(hex(u.hardware_updated_mask)) END
        AS hardware_updated_mask,
    (SELECT count(*) FROM attachment AS a WHERE a.domain = d.id) AS attachments,
    (SELECT coalesce(sum(c.page_count), 0) FROM table_chunk AS c WHERE c.domain = d.id) AS table_pages
FROM domain AS d LEFT JOIN domain_unit AS u ON u.domain = d.id ORDER BY d.id, u.unit;

CREATE VIEW hwpt_view AS
SELECT id AS hwpt, ioas, domain, CASE WHEN token IS NOT NULL THEN '0x' || lower(hex(token)) END AS token
FROM hwpt ORDER BY id;

CREATE VIEW attachment_view AS
SELECT printf('%04x:%02x:%02x.%x', a.segment, a.rid >> 8, (a.rid >> 3) & 31, a.rid & 7) AS device,
    CASE WHEN a.tagged = 1 THEN printf('0x%x', a.pasid) END AS pasid, a.domain AS domain, m.kind AS kind, d.unit AS unit,
    a.cache_tag AS cache_tag, CASE WHEN a.cache_pasid IS NOT NULL THEN printf('0x%x', a.cache_pasid) END AS cache_pasid,
    CASE WHEN u.root_page IS NOT NULL THEN printf('0x%013x000', u.root_page) END AS root,
    CASE WHEN a.entry_address IS NOT NULL THEN '0x' || lower(hex(a.entry_address)) END AS entry, d.preserved AS preserved
FROM attachment AS a
    LEFT JOIN device AS d ON d.segment = a.segment AND d.rid = a.rid
    LEFT JOIN domain AS m ON m.id = a.domain
    LEFT JOIN domain_unit AS u ON u.domain = a.domain AND u.unit = d.unit
ORDER BY a.segment, a.rid, a.tagged, a.pasid;

CREATE VIEW engine_state_view AS
SELECT name, length(bytes) AS bytes FROM engine_state ORDER BY name;

-- Areas, one row each. A chunk is cut into pieces of 64 records first, so that no record costs a read of the whole chunk.
CREATE VIEW area AS
WITH RECURSIVE
    number (n) AS (VALUES (0) UNION ALL SELECT n + 1 FROM number WHERE n < 63),
    piece (chunk, ioas, start, bytes) AS MATERIALIZED (
        SELECT c.id, c.ioas, a.n, substr(c.records, a.n * 2048 + 1, 2048)
        FROM area_chunk AS c CROSS JOIN number AS a WHERE a.n * 64 < c.record_count),
    record (ioas, bytes, text) AS MATERIALIZED (
        SELECT p.ioas, substr(p.bytes, b.n * 32 + 1, 32), hex(substr(p.bytes, b.n * 32 + 25, 4))
        FROM piece AS p CROSS JOIN number AS b WHERE b.n * 32 < length(p.bytes))
SELECT r.ioas AS ioas, '0x' || lower(hex(substr(r.bytes, 1, 8))) AS iova,
    '0x' || lower(hex(substr(r.bytes, 9, 8))) AS last,
    CASE hex(substr(r.bytes, 29, 2)) WHEN '0001' THEN 'r' WHEN '0002' THEN 'w' WHEN '0003' THEN 'rw' ELSE '-' END
        AS protection,
    (instr('123456789ABCDEF', substr(r.text, 1, 1)) << 28) + (instr('123456789ABCDEF', substr(r.text, 2, 1)) << 24)
        + (instr('123456789ABCDEF', substr(r.text, 3, 1)) << 20) + (instr('123456789ABCDEF', substr(r.text, 4, 1)) << 16)
        + (instr('123456789ABCDEF', substr(r.text, 5, 1)) << 12) + (instr('123456789ABCDEF', substr(r.text, 6, 1)) << 8)
        + (instr('123456789ABCDEF', substr(r.text, 7, 1)) << 4) + instr('123456789ABCDEF', substr(r.text, 8, 1))
        AS backing,
    '0x' || lower(hex(substr(r.bytes, 17, 8))) AS offset,
    (SELECT i.area_origin FROM ioas AS i WHERE i.id = r.ioas) AS origin
FROM record AS r;

CREATE VIEW lookup_chunk_view AS
SELECT unit, printf('0x%013x000', first_page) AS first, printf('0x%013xfff', last_page) AS last, page_count AS pages,
    length(runs) AS bytes
FROM lookup_chunk ORDER BY id;

CREATE VIEW table_chunk_view AS
SELECT domain, printf('0x%013x000', first_page) AS first, printf('0x%013xfff', last_page) AS last, page_count AS pages,
    length(runs) AS bytes
FROM table_chunk ORDER BY id;

-- Lookup pages, one row each; `kind` is the structure's number as two hex digits.
CREATE VIEW lookup_page_view AS
WITH RECURSIVE
    number (n) AS (VALUES (0) UNION ALL SELECT n + 1 FROM number WHERE n < 255),
    record (unit, bytes) AS MATERIALIZED (
        SELECT c.unit, substr(c.directory, a.n * 16 + 1, 16)
        FROM lookup_chunk AS c CROSS JOIN number AS a WHERE a.n < c.page_count)
SELECT unit, '0x' || lower(hex(substr(bytes, 1, 8))) AS address, '0x' || lower(hex(substr(bytes, 9, 1))) AS kind
FROM record;

-- Page-table pages, one row each; `level` counts from the leaf, 0 maps 4 KiB.
CREATE VIEW table_page_view AS
WITH RECURSIVE
    number (n) AS (VALUES (0) UNION ALL SELECT n + 1 FROM number WHERE n < 255),
    record (domain, bytes, text) AS MATERIALIZED (
        SELECT c.domain, substr(c.directory, a.n * 16 + 1, 16), hex(substr(c.directory, a.n * 16 + 9, 1))
        FROM table_chunk AS c CROSS JOIN number AS a WHERE a.n < c.page_count)
SELECT domain, '0x' || lower(hex(substr(bytes, 1, 8))) AS address,
    (instr('123456789ABCDEF', substr(text, 1, 1)) << 4) + instr('123456789ABCDEF', substr(text, 2, 1)) AS level
FROM record;

CREATE VIEW event_view AS
SELECT sequence, time_nanoseconds, kind, name, arguments,
    CASE errno
        WHEN 1 THEN 'EPERM' WHEN 2 THEN 'ENOENT' WHEN 5 THEN 'EIO' WHEN 9 THEN 'EBADF' WHEN 11 THEN 'EAGAIN'
        WHEN 12 THEN 'ENOMEM' WHEN 14 THEN 'EFAULT' WHEN 16 THEN 'EBUSY' WHEN 17 THEN 'EEXIST' WHEN 19 THEN 'ENODEV'
        WHEN 22 THEN 'EINVAL' WHEN 28 THEN 'ENOSPC' WHEN 34 THEN 'ERANGE' WHEN 61 THEN 'ENODATA' WHEN 75 THEN 'EOVERFLOW'
        WHEN 95 THEN 'EOPNOTSUPP' WHEN 98 THEN 'EADDRINUSE' WHEN 114 THEN 'EALREADY'
        ELSE errno END AS errno
FROM event ORDER BY sequence;
