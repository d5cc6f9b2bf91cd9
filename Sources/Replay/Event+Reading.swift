import IOMMUModel

/// Arguments by their type.
extension Event {
    /// Argument `name` as `read` takes it.
    ///
    /// - Throws: ``ReplayError/unreadable(_:_:)`` when it is missing, or `read` answers `nil`.
    func value<T>(_ name: String, _ read: (String) -> T?) throws(ReplayError) -> T {
        guard let text = self[name] else { throw .unreadable(self, "no argument \(name)") }
        guard let value = read(text) else { throw .unreadable(self, "\(name)=\(text)") }
        return value
    }

    /// As ``value(_:_:)``; `nil` when there is no such argument.
    func optional<T>(_ name: String, _ read: (String) -> T?) throws(ReplayError) -> T? {
        self[name] == nil ? nil : try value(name, read)
    }

    /// An object's id.
    func id<Kind>(_ name: String) throws(ReplayError) -> ObjectID<Kind> {
        try value(name) { UInt32($0).map { ObjectID($0) } }
    }

    /// A number, decimal or hexadecimal.
    func number(_ name: String) throws(ReplayError) -> UInt64 { try value(name) { parseInteger($0) } }

    /// An argument that stands there as 1, or not at all.
    func flag(_ name: String) -> Bool { self[name] == "1" }

    /// Argument `device`.
    func device() throws(ReplayError) -> RequesterID { try value("device") { RequesterID($0) } }

    /// Argument `pasid`; `nil` when there is none, or it is `-`: untagged.
    func pasid() throws(ReplayError) -> PASID? {
        guard let text = self["pasid"] else { return nil }
        return try pasid(text)
    }

    /// A PASID as its label has it.
    func pasid(_ text: String) throws(ReplayError) -> PASID? {
        if text == PASID?.none.label { return nil }
        guard let pasid = parseInteger(text).flatMap({ UInt32(exactly: $0) }).flatMap({ PASID($0) }) else {
            throw .unreadable(self, "pasid=\(text)")
        }
        return pasid
    }
}
