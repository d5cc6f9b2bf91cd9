import IOMMUModel

/// An IOMMU group as the kernel side sees it: who owns its DMA and what userspace attached.
public struct Group: Sendable, Hashable {
    /// As the machine's devices name it.
    public let id: GroupID
    /// Every requester id of the group, alias ids included; sorted.
    public let members: [RequesterID]
    /// Who owns its DMA (lifecycle.md, "who is responsible"); attach demands `vfio`.
    public internal(set) var owner: DMAOwner = .none
    /// The owner's token; 0 when there is none.
    public internal(set) var ownerToken: UInt64 = 0
    /// The owner was inferred from a driver's name, not observed.
    public internal(set) var ownerAssumed = false
    /// What userspace attached the group's untagged requests to.
    public internal(set) var hwpt: HWPTID?
    /// The devices on whose behalf; the group leaves ``hwpt`` with the last of them.
    public internal(set) var attached: [RequesterID] = []

    /// True when the devices can be told apart and kept apart, so that one alone may be preserved.
    public var isSingleton: Bool { members.count == 1 }

    init(id: GroupID, members: [RequesterID]) {
        self.id = id
        self.members = members.sorted()
    }
}
