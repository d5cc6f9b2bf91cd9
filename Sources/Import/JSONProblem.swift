import FoundationEssentials

/// What a JSON decoder's error means to the reader of the file: where, what was found, what was expected.
public struct JSONProblem: Sendable, Hashable {
    /// As `steps[3].iova`; empty for the file as a whole.
    public var place: String
    /// In words for the reader of the file, one line.
    public var found: String
    /// In words; empty when ``found`` is already a whole sentence of a decoder of ours.
    public var expected: String

    /// `bytes`: the file, to find the place in a text that is no JSON.
    public init(_ error: DecodingError, in bytes: [UInt8]) {
        switch error {
        case .keyNotFound(let key, let context):
            self.init(context, found: "no \"\(key.stringValue)\"", expected: "one")
        case .typeMismatch(let type, let context):
            self.init(context, found: Self.found(context.debugDescription), expected: Self.words(type))
        case .valueNotFound(let type, let context):
            self.init(context, found: "null", expected: Self.words(type))
        case .dataCorrupted(let context):
            if let offset = JSONSyntax.firstError(in: bytes) {
                let byte = offset < bytes.count ? "\"\(Unicode.Scalar(bytes[offset]))\"" : "the end of the file"
                self.init(context, found: byte, expected: "JSON")
                place = "line \(JSONSyntax.line(of: offset, in: bytes)), offset \(offset)"
            } else if context.debugDescription.contains("not valid JSON") {
                self.init(context, found: "a value that does not fit", expected: "numbers and text within their bounds")
            } else {
                self.init(context, found: context.debugDescription, expected: "")
            }
        @unknown default:
            self.init(.init(codingPath: [], debugDescription: ""), found: "unusable text", expected: "JSON")
        }
    }

    private init(_ context: DecodingError.Context, found: String, expected: String) {
        var place = ""
        for key in context.codingPath {
            place += key.intValue.map { "[\($0)]" } ?? (place.isEmpty ? "" : ".") + key.stringValue
        }
        (self.place, self.found, self.expected) = (Self.oneLine(place), Self.oneLine(found), expected)
    }

    /// `found …; expected …`, or what a decoder of ours said by itself.
    public var sentence: String { expected.isEmpty ? found : "found \(found); expected \(expected)" }

    private static func oneLine(_ text: String) -> String { String(text.map { $0.isNewline ? " " : $0 }) }

    /// Words for a Swift type that no user of a JSON file knows.
    private static func words(_ type: any Any.Type) -> String {
        let name = "\(type)"
        if name.hasPrefix("Dictionary") { return "an object" }
        if name.hasPrefix("Array") { return "a list" }
        switch name {
        case "String": return "text"
        case "Bool": return "true or false"
        case "UInt8", "UInt16", "UInt32", "UInt64": return "a whole number of at most \(name.dropFirst(4)) bits"
        case "Int": return "a whole number"
        default: return "another value"
        }
    }

    /// What the decoder says that it found, which is in its text only.
    private static func found(_ text: String) -> String {
        guard let start = text.firstRange(of: "but found "), let end = text.firstRange(of: " instead") else {
            return "another type"
        }
        switch text[start.upperBound..<end.lowerBound] {
        case "number": return "a number"
        case "bool": return "true or false"
        case "a string": return "text"
        case "a dictionary": return "an object"
        case "an array": return "a list"
        default: return "another type"
        }
    }
}
