import IOMMUModel

/// One change made between seal and restore that no correct engine makes; checksums in the file are made good again,
/// so that a rule and not a checksum has to find it.
struct ScenarioTamper: Sendable, Decodable {
    enum Change: Sendable {
        /// Flips bits of the leaf that translates `iova` for `device`, in memory.
        case leaf(RequesterID, iova: IOVA, flip: UInt64)
        /// Flips bits of one word (0 or 1) of the device's context entry, in memory.
        case contextEntry(RequesterID, word: Int, flip: UInt64)
        /// Moves the backing offset of the area that holds `iova`, in the sealed file.
        case area(IOASID, iova: IOVA, offset: UInt64)
        /// Names domain and cache tag of device `of` in the device's attachment, in the sealed file.
        case attachment(RequesterID, of: RequesterID)
    }

    var change: Change

    enum CodingKeys: String, CodingKey, CaseIterable { case what, device, iova, flip, word, ioas, offset, of }

    init(from decoder: any Decoder) throws {
        let box = try decoder.strictContainer(CodingKeys.self)
        func number(_ key: CodingKeys) throws -> UInt64 { try box.decode(NumberText.self, forKey: key).value }
        func device() throws -> RequesterID { try box.decode(RequesterText.self, forKey: .device).value }
        let what = try box.decode(String.self, forKey: .what)
        let keys: [String: Set<CodingKeys>] = [
            "leaf": [.device, .iova, .flip], "context-entry": [.device, .word, .flip], "area": [.ioas, .iova, .offset],
            "attachment": [.device, .of],
        ]
        let mine = (keys[what] ?? Set(CodingKeys.allCases)).union([.what])
        if let extra = CodingKeys.allCases.first(where: { box.contains($0) && !mine.contains($0) }) {
            throw DecodingError.dataCorruptedError(
                forKey: extra, in: box, debugDescription: "\"\(what)\" takes no \"\(extra.stringValue)\"")
        }
        switch what {
        case "leaf": change = .leaf(try device(), iova: IOVA(try number(.iova)), flip: try number(.flip))
        case "context-entry":
            let word = try box.decode(Int.self, forKey: .word)
            guard word == 0 || word == 1 else {
                throw DecodingError.dataCorruptedError(
                    forKey: .word, in: box, debugDescription: "a context entry has words 0 and 1, not \(word)")
            }
            change = .contextEntry(try device(), word: word, flip: try number(.flip))
        case "area":
            change = .area(
                IOASID(try box.decode(UInt32.self, forKey: .ioas)), iova: IOVA(try number(.iova)),
                offset: try number(.offset))
        case "attachment":
            change = .attachment(try device(), of: try box.decode(RequesterText.self, forKey: .of).value)
        default:
            throw DecodingError.dataCorruptedError(
                forKey: .what, in: box,
                debugDescription: "\"\(what)\" cannot be tampered with; leaf, context-entry, area, attachment can")
        }
    }
}
