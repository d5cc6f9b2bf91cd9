import IOMMUModel

/// One change made between seal and restore that no correct engine makes; checksums in the file are made good again,
/// so that a rule and not a checksum has to find it.
struct ScenarioTamper: Sendable, Decodable {
    enum Change: Sendable {
        /// Flips bits of the leaf that translates `iova` for `device`, in memory; `level`: of the entry so many levels above
        /// it.
        case leaf(RequesterID, PASID?, iova: IOVA, level: Int, flip: UInt64)
        /// Writes over the table page that holds that leaf, in memory.
        case tablePage(RequesterID, PASID?, iova: IOVA)
        /// Takes that page out of the recorded ones.
        case recordedPage(RequesterID, PASID?, iova: IOVA)
        /// Flips bits of one word of the lookup entry that decides about the requests, in memory.
        case lookupEntry(RequesterID, PASID?, word: Int, flip: UInt64)
        /// Moves the backing offset of the area that holds `iova`, in the sealed file.
        case area(IOASID, iova: IOVA, offset: UInt64)
        /// Takes the area that holds `iova` out of the sealed file.
        case areaGone(IOASID, iova: IOVA)
        /// Names domain and cache tag of device `of` in the device's attachment, in the sealed file.
        case attachment(RequesterID, of: RequesterID)
        /// Names the cache tag of device `of` in the device's attachment, in the sealed file.
        case cacheTag(RequesterID, of: RequesterID)
        /// Takes the attachment of the device's requests with the PASID out of the sealed file.
        case attachmentGone(RequesterID, PASID)
        /// The sealed file asks for a feature of another version.
        case feature(String)
    }

    var change: Change

    enum CodingKeys: String, CodingKey, CaseIterable {
        case what, device, pasid, iova, level, flip, word, ioas, offset, of, name
    }

    /// Which keys each change takes.
    static let keys: [String: Set<CodingKeys>] = [
        "leaf": [.device, .pasid, .iova, .level, .flip], "lookup-entry": [.device, .pasid, .word, .flip],
        "table-page": [.device, .pasid, .iova], "recorded-page": [.device, .pasid, .iova],
        "area": [.ioas, .iova, .offset], "area-gone": [.ioas, .iova], "attachment": [.device, .of],
        "cache-tag": [.device, .of], "attachment-gone": [.device, .pasid], "feature": [.name],
    ]

    /// Done to memory, not to the sealed file.
    var isOfMemory: Bool {
        switch change {
        case .leaf, .tablePage, .lookupEntry: true
        default: false
        }
    }

    init(from decoder: any Decoder) throws {
        let box = try decoder.strictContainer(CodingKeys.self)
        func number(_ key: CodingKeys) throws -> UInt64 { try box.decode(NumberText.self, forKey: key).value }
        func pasid() throws -> PASID? { try box.decodeIfPresent(PASIDNumber.self, forKey: .pasid)?.value }
        func device() throws -> RequesterID { try box.decode(RequesterText.self, forKey: .device).value }
        let what = try box.decode(String.self, forKey: .what)
        let mine = (Self.keys[what] ?? Set(CodingKeys.allCases)).union([.what])
        if let extra = CodingKeys.allCases.first(where: { box.contains($0) && !mine.contains($0) }) {
            throw DecodingError.dataCorruptedError(
                forKey: extra, in: box, debugDescription: "\"\(what)\" takes no \"\(extra.stringValue)\"")
        }
        switch what {
        case "leaf":
            let level = try box.decodeIfPresent(Int.self, forKey: .level) ?? 0
            guard (0...5).contains(level) else {
                throw DecodingError.dataCorruptedError(
                    forKey: .level, in: box, debugDescription: "found \(level); expected a level from 0 to 5")
            }
            change = .leaf(
                try device(), try pasid(), iova: IOVA(try number(.iova)), level: level, flip: try number(.flip))
        case "table-page": change = .tablePage(try device(), try pasid(), iova: IOVA(try number(.iova)))
        case "recorded-page": change = .recordedPage(try device(), try pasid(), iova: IOVA(try number(.iova)))
        case "area-gone":
            change = .areaGone(IOASID(try box.decode(UInt32.self, forKey: .ioas)), iova: IOVA(try number(.iova)))
        case "cache-tag":
            change = .cacheTag(try device(), of: try box.decode(RequesterText.self, forKey: .of).value)
        case "attachment-gone":
            change = .attachmentGone(try device(), try box.decode(PASIDNumber.self, forKey: .pasid).value)
        case "feature": change = .feature(try box.decode(String.self, forKey: .name))
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
                debugDescription:
                    "\"\(what)\" cannot be tampered with; \(Self.keys.keys.sorted().joined(separator: ", ")) can")
        }
    }
}
