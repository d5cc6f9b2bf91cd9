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
    /// The error it must answer with; `nil`: it must succeed.
    var expect: Errno?

    enum CodingKeys: String, CodingKey, CaseIterable {
        case `do`
        case device, pasid, hwpt, parent, root, ioas, unit, bits, format, iova, bytes, file, offset, value, protection,
            token, access, address, fault, expect
    }

    init(from decoder: any Decoder) throws {
        let box = try decoder.strictContainer(CodingKeys.self)
        name = try box.decode(String.self, forKey: .do)
        expect = try box.decodeIfPresent(ErrnoText.self, forKey: .expect)?.value
        var used: Set<CodingKeys> = [.do, .expect]
        func number(_ key: CodingKeys) throws -> UInt64 {
            used.insert(key)
            return try box.decode(NumberText.self, forKey: key).value
        }
        func id(_ key: CodingKeys) throws -> UInt32 {
            used.insert(key)
            return try box.decode(UInt32.self, forKey: key)
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

    /// The operations by name, for messages and the published schema.
    static let operationNames = [
        "create-ioas", "create-hwpt", "create-nested-hwpt", "claim", "attach", "attach-identity", "detach", "map",
        "unmap", "mark", "write", "dma", "pre-copy",
    ].joined(separator: ", ")
}
