import IOMMUModel

/// One change made between seal and restore that no correct engine makes; checksums in the file are made good again,
/// so that a rule and not a checksum has to find it.
struct ScenarioTamper: Sendable, Decodable {
    enum Change: Sendable {
        /// Flips bits of the leaf that translates `iova` for `device`, in memory.
        case leaf(RequesterID, PASID?, iova: IOVA, flip: UInt64)
        /// Flips bits of one word of the lookup entry that decides about the requests, in memory.
        case lookupEntry(RequesterID, PASID?, word: Int, flip: UInt64)
        /// Moves the backing offset of the area that holds `iova`, in the sealed file.
        case area(IOASID, iova: IOVA, offset: UInt64)
        /// Names domain and cache tag of device `of` in the device's attachment, in the sealed file.
        case attachment(RequesterID, of: RequesterID)
    }

    var change: Change

    enum CodingKeys: String, CodingKey, CaseIterable { case what, device, pasid, iova, flip, word, ioas, offset, of }

    init(from decoder: any Decoder) throws {
        let box = try decoder.strictContainer(CodingKeys.self)
        func number(_ key: CodingKeys) throws -> UInt64 { try box.decode(NumberText.self, forKey: key).value }
        func pasid() throws -> PASID? { try box.decodeIfPresent(PASIDNumber.self, forKey: .pasid)?.value }
        func device() throws -> RequesterID { try box.decode(RequesterText.self, forKey: .device).value }
        let what = try box.decode(String.self, forKey: .what)
        let keys: [String: Set<CodingKeys>] = [
            "leaf": [.device, .pasid, .iova, .flip], "lookup-entry": [.device, .pasid, .word, .flip],
            "area": [.ioas, .iova, .offset], "attachment": [.device, .of],
        ]
        let mine = (keys[what] ?? Set(CodingKeys.allCases)).union([.what])
        if let extra = CodingKeys.allCases.first(where: { box.contains($0) && !mine.contains($0) }) {
            throw DecodingError.dataCorruptedError(
                forKey: extra, in: box, debugDescription: "\"\(what)\" takes no \"\(extra.stringValue)\"")
        }
        switch what {
        case "leaf": change = .leaf(try device(), try pasid(), iova: IOVA(try number(.iova)), flip: try number(.flip))
        case "lookup-entry":
            let word = try box.decode(Int.self, forKey: .word)
            guard (0...7).contains(word) else {
                throw DecodingError.dataCorruptedError(
                    forKey: .word, in: box, debugDescription: "found \(word); expected a word from 0 to 7")
            }
            change = .lookupEntry(try device(), try pasid(), word: word, flip: try number(.flip))
        case "area":
            change = .area(
                IOASID(try box.decode(UInt32.self, forKey: .ioas)), iova: IOVA(try number(.iova)),
                offset: try number(.offset))
        case "attachment":
            change = .attachment(try device(), of: try box.decode(RequesterText.self, forKey: .of).value)
        default:
            throw DecodingError.dataCorruptedError(
                forKey: .what, in: box,
                debugDescription: "\"\(what)\" cannot be tampered with; leaf, lookup-entry, area, attachment can")
        }
    }
}
