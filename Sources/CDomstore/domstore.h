/*
 * domstore: a simulated machine behind an IOMMU, and its live update.
 *
 * A simulator written in any language builds a machine, maps memory for its devices, lets them do DMA through the
 * IOMMU, and replaces the kernel under them while they go on:
 *
 *     domstore_create, domstore_add_device    the machine
 *     domstore_attach, domstore_map           an address space for a device
 *     domstore_dma_read, domstore_dma_write   what the device does, at any time
 *     domstore_freeze, domstore_seal          the old kernel's half of the update; domstore_thaw is the way back
 *     domstore_jump                           no kernel; devices go on
 *     domstore_restore, domstore_finish       the new kernel's half
 *
 * Link with libdomstore-c.so, which `swift build` makes.
 *
 * Errors     Every function that returns `int` returns 0, or a negative errno with Linux's numbers. Each names its own;
 *            all return -EINVAL for a null pointer where none is allowed, and -EBUSY in a phase that does not offer
 *            them. domstore_error() has the text of the last one. What failed has changed nothing, unless it says
 *            otherwise.
 * Addresses  Bytes, 64 bits. A page is 4096 bytes.
 * Phases     running (after creation and restore), frozen (after freeze and seal), jumped (after jump). Memory and DMA
 *            are there in all of them.
 * Threads    There is no global state. One machine is used by one thread at a time.
 * Sameness   The same calls with the same arguments give the same bytes, in memory and in the store.
 */
#ifndef DOMSTORE_H
#define DOMSTORE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The version of this interface: changes whenever a function changes its meaning. */
#define DOMSTORE_VERSION 1

/* The device on bus 0 to 255, device 0 to 31, function 0 to 7 of PCI segment 0. */
#define DOMSTORE_DEVICE(bus, device, function) ((uint16_t)((bus) << 8 | (device) << 3 | (function)))

/* The physical address of the first byte of memory. */
#define DOMSTORE_MEMORY_START UINT64_C(0x100000)

/* What the machine's one IOMMU is. */
enum {
    /* Intel VT-d in legacy mode: IOVAs of 48 bits. */
    DOMSTORE_INTEL_VTD = 0,
    /* AMD with host tables (v1): IOVAs of 64 bits. */
    DOMSTORE_AMD_VI = 1,
};

/* What a mapping allows, or an access is. */
enum {
    DOMSTORE_READ = 1,
    DOMSTORE_WRITE = 2,
    DOMSTORE_READ_WRITE = 3,
};

/* A machine. */
typedef struct domstore_machine domstore_machine;

/* The DOMSTORE_VERSION that the library was built with: a program compares it with its own. */
int domstore_version(void);

/*
 * Creates a machine with `memory_bytes` bytes of memory, whole pages, 4096 to 2^46, at DOMSTORE_MEMORY_START. Host
 * memory is taken as it is written. `seed` is that of all random numbers. It starts, with a kernel and all devices
 * blocked, at the first call that is not domstore_add_device().
 *
 * -EINVAL: no such kind, a size out of range. `*machine` is then NULL.
 */
int domstore_create(int kind, uint64_t memory_bytes, uint64_t seed, domstore_machine **machine);

/* Frees a machine; NULL: nothing happens. */
void domstore_destroy(domstore_machine *machine);

/*
 * The text of the machine's last error, "" when there was none; in UTF-8, until the next call that fails, or until it
 * is destroyed. Of NULL: "".
 */
const char *domstore_error(const domstore_machine *machine);

/*
 * Adds a device, alone in its group.
 *
 * -EBUSY: the machine has started. -EEXIST: it is there already.
 */
int domstore_add_device(domstore_machine *machine, uint16_t device);

/*
 * `bytes` bytes of the machine's memory at physical `address`, 1 or more; they stay where they are until the machine
 * is destroyed. NULL, with an error text: not all of them are memory.
 */
void *domstore_memory(domstore_machine *machine, uint64_t address, uint64_t bytes);

/*
 * Attaches a device to an address space: a new, empty one (`peer` is `device` itself), or that of another device.
 *
 * -EBUSY: attached or preserved already, or not running. -ENODEV: no such device. -ENOENT: `peer` is not attached.
 * -ENOMEM: no room for tables.
 */
int domstore_attach(domstore_machine *machine, uint16_t device, uint16_t peer);

/*
 * Takes a device off its address space, which goes with its last device: its DMA is blocked from then on.
 *
 * -EBUSY: preserved, or not running. -ENODEV: no such device. -ENOENT: not attached.
 */
int domstore_detach(domstore_machine *machine, uint16_t device);

/*
 * Maps `bytes` bytes of memory from physical `address` on at `iova`, for all devices in the address space of
 * `device`. All three are whole pages. `protection` is DOMSTORE_READ, DOMSTORE_WRITE or both.
 *
 * -EBUSY: frozen or jumped. -ENOENT: not attached. -EINVAL: not whole pages, no protection, not memory, an IOVA that
 * is too wide. -EOVERFLOW: the IOVAs wrap. -EEXIST: something is mapped there. -ENOMEM: no room for tables.
 */
int domstore_map(
    domstore_machine *machine, uint16_t device, uint64_t iova, uint64_t address, uint64_t bytes, int protection);

/*
 * Takes back every mapping in `bytes` bytes from `iova` on, 1 or more; none is cut.
 *
 * -EBUSY: frozen or jumped. -ENOENT: not attached, nothing is mapped there, or a mapping lies only partly inside.
 * -EINVAL: no bytes. -EOVERFLOW: the IOVAs wrap.
 */
int domstore_unmap(domstore_machine *machine, uint16_t device, uint64_t iova, uint64_t bytes);

/*
 * The physical address that an access of `device` at `iova` reaches, in any phase; `access` is DOMSTORE_READ or
 * DOMSTORE_WRITE.
 *
 * -EFAULT: none; the text has the hardware's reason, and the fault is recorded as that of a real access. -EINVAL: no
 * such access.
 */
int domstore_translate(domstore_machine *machine, uint16_t device, uint64_t iova, int access, uint64_t *address);

/*
 * `device` reads `bytes` bytes, 0 or more, from `iova` on into `buffer`, in any phase. Each page is translated, and
 * then read.
 *
 * -EFAULT: a page that it may not read, which the text names; those before it are in `buffer`.
 */
int domstore_dma_read(domstore_machine *machine, uint16_t device, uint64_t iova, void *buffer, size_t bytes);

/*
 * `device` writes `bytes` bytes, 0 or more, from `buffer` to `iova` on, in any phase. Each page is translated, and
 * then written.
 *
 * -EFAULT: a page that it may not write, which the text names; those before it are written.
 */
int domstore_dma_write(domstore_machine *machine, uint16_t device, uint64_t iova, const void *buffer, size_t bytes);

/*
 * Preserves every attached device and freezes the kernel: nothing can be mapped or attached any more. Devices that
 * are not attached stay blocked.
 *
 * -EBUSY: not running, or the devices of the update before are not finished.
 */
int domstore_freeze(domstore_machine *machine);

/*
 * The way back: the same kernel goes on, nothing is preserved any more, and what was sealed of it no longer counts.
 *
 * -EBUSY: not frozen. Errors of the store: the kernel goes on all the same, and nothing can be restored.
 */
int domstore_thaw(domstore_machine *machine);

/*
 * Records the frozen state in the directory `store`, which is made unless it is there, and belongs to one machine.
 * Durable when it returns.
 *
 * -EBUSY: not frozen, or sealed already. The errno of a system call, -EIO: the store could not be written; the kernel
 * is still frozen.
 */
int domstore_seal(domstore_machine *machine, const char *store);

/*
 * The kernel ends; memory, IOMMU and devices stay. What is not sealed is lost.
 *
 * -EBUSY: not frozen.
 */
int domstore_jump(domstore_machine *machine);

/*
 * Starts the next kernel from the newest seal in `store` that counts: every preserved device is attached to its old
 * domain, and its tables are held against the record. `*quarantined` gets the number of devices for which that
 * failed: they are blocked for good, and the text says why of the first. `quarantined` may be NULL.
 *
 * -EBUSY: not jumped. -ENOENT: no such directory, nothing sealed in it, or not this machine's. -EINVAL: a seal that
 * cannot be trusted. There is no kernel then.
 */
int domstore_restore(domstore_machine *machine, const char *store, int *quarantined);

/*
 * Userspace comes back: it builds new tables with the same mappings, has them compared with the old ones, every
 * device is switched without an instant in between, and the session ends. Nothing is preserved any more.
 *
 * -EBUSY: nothing was restored, or finished already. -ENOMEM: no room for tables. -EINVAL: the tables of a device,
 * which the text names, are not what was mapped: it stays on the old ones, the session goes on, and there is no
 * further update.
 */
int domstore_finish(domstore_machine *machine);

#ifdef __cplusplus
}
#endif

#endif
