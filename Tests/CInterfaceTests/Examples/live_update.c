/*
 * A device behind an IOMMU, whose kernel is replaced while it does DMA.
 *
 *     clang Tests/CInterfaceTests/Examples/live_update.c -I Sources/CDomstore -L .build/debug -ldomstore-c \
 *         -Wl,-rpath,.build/debug -o live_update
 *     ./live_update out
 *
 * `out` is a directory that is not there yet. Exit 0 when everything came out as it must, else 1.
 */
#include <domstore.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint16_t nic = DOMSTORE_DEVICE(0, 3, 0);
static domstore_machine *machine;

/* Ends the program unless `result` is `expected`; prints both. */
static void expect(const char *what, int result, int expected)
{
    printf("%-8s %d%s%s\n", what, result, result ? ": " : "", result ? domstore_error(machine) : "");
    if (result != expected) {
        fprintf(stderr, "%s: found %d, expected %d\n", what, result, expected);
        exit(1);
    }
}

/* The device writes `text` at `iova`, and the driver finds it at `offset` of `memory`. */
static void packet(const char *text, uint64_t iova, const char *memory, size_t offset)
{
    expect("dma", domstore_dma_write(machine, nic, iova, text, strlen(text) + 1), 0);
    if (strcmp(memory + offset, text) != 0) {
        fprintf(stderr, "found \"%s\" in memory, expected \"%s\"\n", memory + offset, text);
        exit(1);
    }
    printf("         \"%s\" arrived\n", text);
}

int main(int argc, char **argv)
{
    char back[4] = "";
    uint64_t address = 0;
    int quarantined = -1;

    if (argc != 2) {
        fprintf(stderr, "usage: %s STORE\n", argv[0]);
        return 64;
    }
    if (domstore_version() != DOMSTORE_VERSION)
        return 1;

    expect("create", domstore_create(DOMSTORE_INTEL_VTD, 16 << 20, 1, &machine), 0);
    expect("add", domstore_add_device(machine, nic), 0);
    expect("attach", domstore_attach(machine, nic, nic), 0);
    expect("map", domstore_map(machine, nic, 0x10000, 0x400000, 0x4000, DOMSTORE_READ_WRITE), 0);
    expect("map", domstore_map(machine, nic, 0x20000, 0x400000, 0x1000, DOMSTORE_READ), 0);

    const char *memory = domstore_memory(machine, 0x400000, 0x4000);
    if (!memory)
        return 1;
    packet("before the update", 0x10ff8, memory, 0xff8); /* over the end of a page */
    expect("read", domstore_dma_read(machine, nic, 0x20ff8, back, 3), 0);
    if (memcmp(back, "bef", 3) != 0)
        return 1;
    expect("write", domstore_dma_write(machine, nic, 0x20ff8, back, 3), -EFAULT); /* read only */
    expect("unmap", domstore_unmap(machine, nic, 0x20000, 0x1000), 0);
    expect("read", domstore_dma_read(machine, nic, 0x20ff8, back, 3), -EFAULT); /* not mapped any more */

    expect("freeze", domstore_freeze(machine), 0);
    expect("map", domstore_map(machine, nic, 0x20000, 0x400000, 0x1000, DOMSTORE_READ), -EBUSY);
    expect("seal", domstore_seal(machine, argv[1]), 0);
    expect("jump", domstore_jump(machine), 0);
    packet("while there is no kernel", 0x11000, memory, 0x1000);
    expect("restore", domstore_restore(machine, argv[1], &quarantined), 0);
    if (quarantined != 0)
        return 1;
    packet("on the old tables", 0x11000, memory, 0x1000);
    expect("finish", domstore_finish(machine), 0);
    packet("on the new tables", 0x11000, memory, 0x1000);

    expect("lookup", domstore_translate(machine, nic, 0x13fff, DOMSTORE_WRITE, &address), 0);
    if (address != 0x403fff)
        return 1;
    expect("detach", domstore_detach(machine, nic), 0);
    expect("lookup", domstore_translate(machine, nic, 0x13fff, DOMSTORE_WRITE, &address), -EFAULT);
    domstore_destroy(machine);
    return 0;
}
