#include "amd_v1.h"
#include "vtd_second_stage.h"
#include "x86_64.h"

struct ref_config ref_make_config(enum ref_format format, int top_level, int host_address_width, int encryption_bit) {
    const uint64_t inside = REF_ADDRESS_FIELD & (((uint64_t)1 << host_address_width) - 1);
    const uint64_t encryption = encryption_bit < 0 ? 0 : (uint64_t)1 << encryption_bit;
    const uint64_t transient = (uint64_t)1 << 62;
    const uint64_t outside = REF_ADDRESS_FIELD & ~(inside | encryption);
    struct ref_config config = {
        .format = format,
        .top_level = top_level,
        .can_snoop = format != REF_X86_64,
        .root_rights = REF_READ | REF_WRITE | REF_USER | REF_EXECUTE,
        .page_sizes = (uint64_t)1 << 12 | (uint64_t)1 << 21 | (uint64_t)1 << 30,
        .beyond = ~(uint64_t)0 << (21 + 9 * top_level),
        .address_mask = inside & ~encryption,
        .encodable = encryption == 0 ? inside : inside & (encryption - 1),
        .encryption = encryption,
    };
    switch (format) {
    case REF_VTD_SECOND_STAGE:
        config.table_reserved = outside | VTD_SNOOP | transient;
        config.leaf_reserved = outside | transient;
        break;
    case REF_AMD_V1:
        config.address_mask = REF_ADDRESS_FIELD & ~encryption;
        config.table_reserved = AMD_LEAF_RESERVED | AMD_UNTRANSLATED | AMD_COHERENT;
        config.leaf_reserved = AMD_LEAF_RESERVED;
        // Every power of two from 4 KiB to half of what the tables name, but for the erratum's 512 GiB.
        config.page_sizes = (((uint64_t)1 << (21 + 9 * top_level)) - 1) & ~(uint64_t)0xfff & ~((uint64_t)1 << 39);
        break;
    case REF_X86_64:
        config.bias = (uint64_t)1 << (20 + 9 * top_level);
        config.table_reserved = config.leaf_reserved = outside;
    }
    for (int level = 0; level <= top_level; level++) config.single_sizes |= config.page_sizes & ref_slot_size(level);
    return config;
}
