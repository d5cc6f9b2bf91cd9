import Engine
import IOMMUModel

/// One step of a scenario: an operation with its arguments, and what it must answer.
struct ScenarioStep: Sendable, Decodable {
    /// What the step does; each case names what it needs.
    enum Operation: Sendable {
        case createIOAS(IOASID)
        case createHWPT(HWPTID, ioas: IOASID, unit: UnitID, addressBits: Int?, format: PageTableFormatKind?)
        /// For a guest's tables at the guest's address `root`; below them those of `parent`.
        case createNestedHWPT(HWPTID, parent: HWPTID, unit: UnitID, root: PhysicalAddress)
        case claim(RequesterID)
        case attach(RequesterID, PASID?, hwpt: HWPTID)
        case attachIdentity(RequesterID)
        case detach(RequesterID, PASID?)
        case map(IOASID, iova: IOVA, bytes: UInt64, file: BackingID, offset: UInt64, Protection)
        case unmap(IOASID, iova: IOVA, bytes: UInt64)
        case mark(HWPTID, token: UInt64)
        /// The guest whose memory the file is writes a 64-bit word.
        case write(BackingID, offset: UInt64, value: UInt64)
        case dma(RequesterID, PASID?, iova: IOVA, Access, lands: Landing)
        /// Writes what changed since the last pass into the generation, while devices run.
        case preCopy
        /// The group's DMA goes to another owner than VFIO's usual one.
        case claimOwner(RequesterID, token: UInt64)
        case releaseOwner(RequesterID)
        case destroyHWPT(HWPTID)
        case destroyIOAS(IOASID)
        case unmark(HWPTID)
        case replace(RequesterID, PASID?, hwpt: HWPTID, attachNew: Bool)
        case createSession(SessionID, name: String)
        case closeSession(SessionID)
        case preserve(RequesterID, session: SessionID)
        case preserveFile(BackingID, session: SessionID)
        case unpreserve(RequesterID)
        case open(RequesterID, session: SessionID?)
        case close(RequesterID)
        case bindDriver(RequesterID, String)
        case unbindDriver(RequesterID)
        case reset(RequesterID, LiveEngine.ResetScope)
        case power(RequesterID, Bool)
        case interrupts(RequesterID, Bool)
        case dirtyTracking(HWPTID, Bool)
        /// After the jump. The sessions that came over are numbered from 1 in the order of their names; those that a step
        /// makes have other numbers.
        case retrieve(RequesterID, session: SessionID)
        case adopt(HWPTID, token: UInt64, session: SessionID)
        /// The device's inherited tables against those of userspace's own HWPT.
        case compare(RequesterID, PASID?, hwpt: HWPTID)
        case keepIdentity(RequesterID)
        case quarantine(RequesterID)
        case discard(RequesterID)
        case release(RequesterID)
        case abandon(SessionID)
        case finish(SessionID)
    }

    /// Where a DMA must end.
    enum Landing: Sendable, Hashable {
        case address(PhysicalAddress)
        /// VT-d's fault reason, AMD's event code.
        case fault(UInt8)
    }

    /// The operation's name, as in the file.
    var name: String
    var operation: Operation
    /// Its arguments as they are told, in the order of their names.
    private(set) var arguments: [Event.Argument] = []
    /// The error it must answer with; `nil`: it must succeed.
    var expect: Errno?

    enum CodingKeys: String, CodingKey, CaseIterable {
        case `do`
        case device, pasid, hwpt, parent, root, ioas, unit, bits, format, iova, bytes, file, offset, value, protection,
            token, access, address, fault, session, name, driver, scope, on, attachNew = "attach_new", expect
    }

    init(from decoder: any Decoder) throws {
        let box = try decoder.strictContainer(CodingKeys.self)
        name = try box.decode(String.self, forKey: .do)
        expect = try box.decodeIfPresent(ErrnoText.self, forKey: .expect)?.value
        arguments = CodingKeys.allCases.filter { box.contains($0) && ![.do, .expect].contains($0) }
            .map { Event.Argument($0.stringValue, Self.text(of: $0, in: box)) }.sorted { $0.name < $1.name }
        var used: Set<CodingKeys> = [.do, .expect]
        func number(_ key: CodingKeys) throws -> UInt64 {
            used.insert(key)
            return try box.decode(NumberText.self, forKey: key).value
        }
        func id(_ key: CodingKeys) throws -> UInt32 {
            used.insert(key)
            return try box.decode(UInt32.self, forKey: key)
        }
        func on() throws -> Bool {
            used.insert(.on)
            return try box.decode(Bool.self, forKey: .on)
        }
        func device() throws -> RequesterID {
            used.insert(.device)
            return try box.decode(RequesterText.self, forKey: .device).value
        }
        func pasid() throws -> PASID? {
            used.insert(.pasid)
            return try box.decodeIfPresent(PASIDNumber.self, forKey: .pasid)?.value
        }
        switch name {
        case "create-ioas": operation = .createIOAS(IOASID(try id(.ioas)))
        case "create-hwpt":
            used.formUnion([.bits, .format])
            let bits = try box.decodeIfPresent(Int.self, forKey: .bits)
            guard bits.map({ [39, 47, 48, 56, 57, 64].contains($0) }) ?? true else {
                throw DecodingError.dataCorruptedError(
                    forKey: .bits, in: box, debugDescription: "found \(bits!); expected 39, 47, 48, 56, 57 or 64")
            }
            let format = try box.decodeIfPresent(FormatText.self, forKey: .format)?.value
            operation = .createHWPT(
                HWPTID(try id(.hwpt)), ioas: IOASID(try id(.ioas)), unit: UnitID(try id(.unit)), addressBits: bits,
                format: format)
        case "create-nested-hwpt":
            operation = .createNestedHWPT(
                HWPTID(try id(.hwpt)), parent: HWPTID(try id(.parent)), unit: UnitID(try id(.unit)),
                root: PhysicalAddress(try number(.root)))
        case "claim": operation = .claim(try device())
        case "attach": operation = .attach(try device(), try pasid(), hwpt: HWPTID(try id(.hwpt)))
        case "attach-identity": operation = .attachIdentity(try device())
        case "detach": operation = .detach(try device(), try pasid())
        case "map":
            used.insert(.protection)
            operation = .map(
                IOASID(try id(.ioas)), iova: IOVA(try number(.iova)), bytes: try number(.bytes),
                file: BackingID(try id(.file)), offset: try number(.offset),
                try box.decode(ProtectionText.self, forKey: .protection).value)
        case "unmap":
            operation = .unmap(IOASID(try id(.ioas)), iova: IOVA(try number(.iova)), bytes: try number(.bytes))
        case "mark": operation = .mark(HWPTID(try id(.hwpt)), token: try number(.token))
        case "write":
            operation = .write(
                BackingID(try id(.file)), offset: try number(.offset), value: try number(.value))
        case "dma":
            used.insert(.access)
            let landing: Landing
            if box.contains(.fault) {
                used.insert(.fault)
                landing = .fault(try box.decode(UInt8.self, forKey: .fault))
            } else {
                landing = .address(PhysicalAddress(try number(.address)))
            }
            operation = .dma(
                try device(), try pasid(), iova: IOVA(try number(.iova)),
                try box.decodeIfPresent(AccessText.self, forKey: .access)?.value ?? .read, lands: landing)
        case "pre-copy": operation = .preCopy
        case "claim-owner": operation = .claimOwner(try device(), token: try number(.token))
        case "release-owner": operation = .releaseOwner(try device())
        case "destroy-hwpt": operation = .destroyHWPT(HWPTID(try id(.hwpt)))
        case "destroy-ioas": operation = .destroyIOAS(IOASID(try id(.ioas)))
        case "unmark": operation = .unmark(HWPTID(try id(.hwpt)))
        case "replace":
            used.insert(.attachNew)
            operation = .replace(
                try device(), try pasid(), hwpt: HWPTID(try id(.hwpt)),
                attachNew: try box.decodeIfPresent(Bool.self, forKey: .attachNew) ?? false)
        case "create-session":
            used.insert(.name)
            operation = .createSession(SessionID(try id(.session)), name: try box.decode(String.self, forKey: .name))
        case "close-session": operation = .closeSession(SessionID(try id(.session)))
        case "preserve": operation = .preserve(try device(), session: SessionID(try id(.session)))
        case "preserve-file":
            operation = .preserveFile(BackingID(try id(.file)), session: SessionID(try id(.session)))
        case "unpreserve": operation = .unpreserve(try device())
        case "open":
            operation = .open(try device(), session: box.contains(.session) ? SessionID(try id(.session)) : nil)
        case "close": operation = .close(try device())
        case "bind-driver":
            used.insert(.driver)
            operation = .bindDriver(try device(), try box.decode(String.self, forKey: .driver))
        case "unbind-driver": operation = .unbindDriver(try device())
        case "reset":
            used.insert(.scope)
            operation = .reset(
                try device(), try box.decodeIfPresent(ScopeText.self, forKey: .scope)?.value ?? .function)
        case "power": operation = .power(try device(), try on())
        case "interrupts": operation = .interrupts(try device(), try on())
        case "dirty-tracking": operation = .dirtyTracking(HWPTID(try id(.hwpt)), try on())
        case "retrieve": operation = .retrieve(try device(), session: SessionID(try id(.session)))
        case "adopt":
            operation = .adopt(
                HWPTID(try id(.hwpt)), token: try number(.token), session: SessionID(try id(.session)))
        case "compare": operation = .compare(try device(), try pasid(), hwpt: HWPTID(try id(.hwpt)))
        case "keep-identity": operation = .keepIdentity(try device())
        case "quarantine": operation = .quarantine(try device())
        case "discard": operation = .discard(try device())
        case "release": operation = .release(try device())
        case "abandon-session": operation = .abandon(SessionID(try id(.session)))
        case "finish": operation = .finish(SessionID(try id(.session)))
        default:
            throw DecodingError.dataCorruptedError(
                forKey: .do, in: box,
                debugDescription: "unknown operation \"\(name)\"; known are \(Self.operationNames)")
        }
        if let extra = CodingKeys.allCases.first(where: { box.contains($0) && !used.contains($0) }) {
            throw DecodingError.dataCorruptedError(
                forKey: extra, in: box, debugDescription: "\"\(name)\" takes no \"\(extra.stringValue)\"")
        }
    }

    /// A value as the file has it.
    private static func text(of key: CodingKeys, in box: KeyedDecodingContainer<CodingKeys>) -> String {
        if let text = try? box.decode(String.self, forKey: key) { return text }
        if let number = try? box.decode(UInt64.self, forKey: key) { return "\(number)" }
        return (try? box.decode(Bool.self, forKey: key)).map { "\($0)" } ?? ""
    }

    /// The device that it is about.
    var device: AttachmentKey? {
        guard let requester = arguments.first(where: { $0.name == "device" }).flatMap({ RequesterID($0.value) }) else {
            return nil
        }
        let pasid = arguments.first { $0.name == "pasid" }
        return AttachmentKey(
            requester, pasid.flatMap { parseInteger($0.value) }.flatMap { UInt32(exactly: $0) }.flatMap { PASID($0) })
    }

    /// The operations by name, for messages and the published schema.
    static let operationNames = [
        "create-ioas", "create-hwpt", "create-nested-hwpt", "claim", "attach", "attach-identity", "detach", "map",
        "unmap", "mark", "write", "dma", "pre-copy", "claim-owner", "release-owner", "destroy-hwpt", "destroy-ioas",
        "unmark", "replace", "create-session", "close-session", "preserve", "preserve-file", "unpreserve", "open",
        "close", "bind-driver", "unbind-driver", "reset", "power", "interrupts", "dirty-tracking", "retrieve", "adopt",
        "compare",
        "keep-identity", "quarantine", "discard", "release", "abandon-session", "finish",
    ].joined(separator: ", ")
}
