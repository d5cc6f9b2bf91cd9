import Engine
import IOMMUModel

extension LiveEngine {
    /// Does what `event` says was done, and tells an event of it as the first time; what it answers is in that event.
    ///
    /// - Throws: ``ReplayError/unreadable(_:_:)`` for an operation that no engine of this version has, or whose arguments
    ///   are not its own.
    mutating func perform(_ event: Event) throws(ReplayError) {
        guard event.kind == .operation else {
            return note(event.kind, event.name, event.arguments, errno: event.errno)
        }
        do {
            guard
                try performOnObjects(event) || performOnDevice(event) || performOnSession(event)
                    || performOnDriver(event)
            else { throw ReplayError.unreadable(event, "no such operation") }
        } catch let error as ReplayError {
            throw error
        } catch {
            // An errno or a refusal: the engine has told it.
        }
    }

    /// Backings, address spaces, page table objects.
    private mutating func performOnObjects(_ event: Event) throws -> Bool {
        switch event.name {
        case "add-backing":
            _ = try addBacking(
                try event.value("kind") { Backing.Kind(rawValue: $0) },
                base: PhysicalAddress(try event.number("base")), byteCount: try event.number("bytes"),
                sealed: event["sealed"] != "0", assumed: event.flag("assumed"))
        case "seal-backing": try sealBacking(try event.id("backing"))
        case "create-ioas":
            _ = try createIOAS(
                allowed: try event.optional("allowed", Self.ranges),
                areaOrigin: try event.optional("origin") { AreaOrigin(rawValue: $0) } ?? .declared)
        case "destroy-ioas": try destroyIOAS(try event.id("ioas"))
        case "create-hwpt":
            _ = try createHWPT(
                ioas: try event.id("ioas"), unit: try event.id("unit"),
                addressBits: try event.optional("bits") { Int($0) },
                format: try event.optional("format") { PageTableFormatKind(rawValue: $0) })
        case "create-nested-hwpt":
            _ = try createNestedHWPT(
                parent: try event.id("parent"), unit: try event.id("unit"),
                root: PhysicalAddress(try event.number("root")), topLevel: try event.value("top") { Int($0) })
        case "destroy-hwpt": try destroyHWPT(try event.id("hwpt"))
        case "map":
            try map(
                ioas: try event.id("ioas"), iova: IOVA(try event.number("iova")), byteCount: try event.number("bytes"),
                backing: try event.id("backing"), offset: try event.number("offset"),
                protection: try event.value("protection") { $0 == "-" ? [] : Protection($0) })
        case "unmap":
            try unmap(
                ioas: try event.id("ioas"), iova: IOVA(try event.number("iova")), byteCount: try event.number("bytes"))
        case "unmark": try unmark(try event.id("hwpt"))
        case "mark": try mark(try event.id("hwpt"), token: try event.number("token"))
        default: return false
        }
        return true
    }

    /// Owners and attachments.
    private mutating func performOnDevice(_ event: Event) throws -> Bool {
        switch event.name {
        case "claim-owner": try claimOwner(try event.id("group"), token: try event.number("token"))
        case "release-owner": try releaseOwner(try event.id("group"))
        case "attach": try attach(try event.device(), pasid: try event.pasid(), to: try event.id("hwpt"))
        case "detach": try detach(try event.device(), pasid: try event.pasid())
        case "attach-identity": try attachIdentity(try event.device())
        case "keep-identity": try keepIdentity(try event.device())
        case "replace":
            try replace(
                try event.device(), pasid: try event.pasid(), with: try event.id("hwpt"),
                attachNew: event.flag("attach-new"))
        case "replace-together":
            try replace(try event.device(), with: try Self.targets(event), attachNew: event.flag("attach-new"))
        case "verify":
            try verify(try event.device(), pasid: try event.pasid(), with: try event.id("hwpt"))
        case "quarantine": try quarantine(try event.device(), distrusting: event.flag("distrust"))
        case "discard": try discard(try event.device())
        case "release": try release(try event.device())
        default: return false
        }
        return true
    }

    /// Drivers, files, resets.
    private mutating func performOnDriver(_ event: Event) throws -> Bool {
        switch event.name {
        case "open":
            try open(try event.device(), session: try event.optional("session") { UInt32($0).map { ObjectID($0) } })
        case "close": try close(try event.device())
        case "bind-driver": try bindDriver(try event.value("driver") { $0 }, to: try event.device())
        case "unbind-driver": try unbindDriver(try event.device())
        case "reset": try reset(try event.device(), try event.value("scope") { ResetScope(rawValue: $0) })
        case "power": try setPower(event.flag("on"), of: try event.device())
        case "interrupts": try setInterrupts(event.flag("on"), of: try event.device())
        case "dirty-tracking": try setDirtyTracking(event.flag("on"), of: try event.id("hwpt"))
        default: return false
        }
        return true
    }

    /// Sessions, and what goes into them and comes out.
    private mutating func performOnSession(_ event: Event) throws -> Bool {
        switch event.name {
        case "create-session": _ = try createSession(try event.value("name") { $0 })
        case "close-session": try closeSession(try event.id("session"))
        case "preserve":
            try preserve(
                try event.device(), in: try event.id("session"), options: PreserveOptions(lab: event.flag("lab")))
        case "preserve-file": try preserveFile(try event.id("backing"), in: try event.id("session"))
        case "unpreserve": try unpreserve(try event.device())
        case "abandon-session": try abandon(try event.id("session"))
        case "claim": try claim(try event.device(), session: try event.id("session"))
        case "adopt-hwpt": _ = try adoptHWPT(token: try event.number("token"), session: try event.id("session"))
        case "finish": try finish(try event.id("session"))
        default: return false
        }
        return true
    }

    /// `FIRST-LAST` and so on, separated by commas; the empty text is no range.
    private static func ranges(_ text: String) -> [IOVARange]? {
        var ranges: [IOVARange] = []
        for part in text.split(separator: ",") {
            let ends = part.split(separator: "-").compactMap { parseInteger($0) }
            guard ends.count == 2, let range = IOVARange(first: IOVA(ends[0]), last: IOVA(ends[1])) else { return nil }
            ranges.append(range)
        }
        return ranges
    }

    /// The pairs of `pasid` and `hwpt` of a joint replace.
    private static func targets(_ event: Event) throws(ReplayError) -> [PASID?: HWPTID] {
        var targets: [PASID?: HWPTID] = [:]
        var pasid: String?
        for argument in event.arguments {
            switch argument.name {
            case "pasid": pasid = argument.value
            case "hwpt":
                guard let text = pasid, let id = UInt32(argument.value) else {
                    throw .unreadable(event, "hwpt=\(argument.value)")
                }
                targets[try event.pasid(text)] = HWPTID(id)
                pasid = nil
            default: continue
            }
        }
        return targets
    }
}
