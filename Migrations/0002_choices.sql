PRAGMA writable_schema = ON;

UPDATE sqlite_schema
SET sql = replace(
    sql, 'kind IN (''intel-vtd'', ''amd-vi'', ''arm-smmuv3'', ''riscv'')',
    'kind = ''intel-vtd'' OR kind = ''amd-vi'' OR kind = ''arm-smmuv3'' OR kind = ''riscv''')
WHERE type = 'table' AND name = 'unit';

UPDATE sqlite_schema
SET sql = replace(
    sql, 'kind IN (''ram'', ''handover'', ''arena'')',
    'kind = ''ram'' OR kind = ''handover'' OR kind = ''arena''')
WHERE type = 'table' AND name = 'memory_range';

UPDATE sqlite_schema
SET sql = replace(
    sql, 'owner IN (''none'', ''token'', ''vfio'')',
    'owner = ''none'' OR owner = ''token'' OR owner = ''vfio''')
WHERE type = 'table' AND name = 'iommu_group';

UPDATE sqlite_schema
SET sql = replace(
    sql, 'kind IN (''direct'', ''direct-relaxable'', ''reserved'', ''msi'', ''sw-msi'')',
    'kind = ''direct'' OR kind = ''direct-relaxable'' OR kind = ''reserved'' OR kind = ''msi''
        OR kind = ''sw-msi''')
WHERE type = 'table' AND name = 'reserved_region';

UPDATE sqlite_schema
SET sql = replace(
    sql, 'kind IN (''paging'', ''identity'', ''blocked'', ''nested'')',
    'kind = ''paging'' OR kind = ''identity'' OR kind = ''blocked'' OR kind = ''nested''')
WHERE type = 'table' AND name = 'domain';

UPDATE sqlite_schema
SET sql = replace(
    sql, 'holder IN (''iommufd'', ''session'', ''record'', ''core'')',
    'holder = ''iommufd'' OR holder = ''session'' OR holder = ''record'' OR holder = ''core''')
WHERE type = 'table' AND name = 'domain';

UPDATE sqlite_schema
SET sql = replace(
    sql, 'format IN (''vtd-second-stage'', ''amd-v1'', ''x86-64'')',
    'format = ''vtd-second-stage'' OR format = ''amd-v1'' OR format = ''x86-64'' OR format = ''armv8-s1''
        OR format = ''armv8-s2'' OR format = ''riscv''')
WHERE type = 'table' AND name = 'domain_unit';

UPDATE sqlite_schema
SET sql = replace(
    sql, 'kind IN (''start'', ''operation'', ''phase'', ''fault'', ''verdict'', ''revoke'')',
    'kind = ''start'' OR kind = ''operation'' OR kind = ''phase'' OR kind = ''fault''
        OR kind = ''verdict'' OR kind = ''revoke''')
WHERE type = 'table' AND name = 'event';

PRAGMA writable_schema = RESET;
