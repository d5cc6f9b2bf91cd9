#include "amd_v1.h"
#include "memory.h"
#include "vtd_second_stage.h"
#include "x86_64.h"

#define F(name) vtd_##name
#include "walk_template.h"
#undef F
#define F(name) amd_##name
#include "walk_template.h"
#undef F
#define F(name) x86_##name
#include "walk_template.h"
#undef F

NOINLINE struct ref_translation ref_translate(const struct ref_config *config, uint64_t root,
                                              const struct ref_memory *memory, uint64_t iova, bool is_write) {
    switch (config->format) {
    case REF_VTD_SECOND_STAGE: return vtd_translate(config, root, memory, iova, is_write);
    case REF_AMD_V1: return amd_translate(config, root, memory, iova, is_write);
    case REF_X86_64: return x86_translate(config, root, memory, iova, is_write);
    }
    __builtin_unreachable();
}

uint64_t ref_translate_each(const struct ref_config *config, uint64_t root, const struct ref_memory *memory,
                            const uint64_t *iovas, size_t count) {
    uint64_t sum = 0;
    for (size_t index = 0; index < count; index++) {
        struct ref_translation result = ref_translate(config, root, memory, iovas[index], false);
        if (result.status == REF_OK) sum += result.pa;
    }
    return sum;
}
