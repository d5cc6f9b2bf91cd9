import Engine
import Handover
import IOMMUModel
import Validate

/// A 64-bit number as a hex string (`"0x1000"`) or a JSON number.
struct NumberText: Decodable {
    var value: UInt64
    init(from decoder: any Decoder) throws {
        let box = try decoder.singleValueContainer()
        if let number = try? box.decode(UInt64.self) {
            value = number
            return
        }
        let text = try? box.decode(String.self)
        guard let text, let number = parseInteger(text) else {
            throw DecodingError.dataCorruptedError(
                in: box,
                debugDescription: "found \(text.map { "\"\($0)\"" } ?? "no number of 64 bits"); "
                    + "expected a number (0x… or decimal, 64 bits)")
        }
        value = number
    }
}

/// A PASID, as a number.
struct PASIDNumber: Decodable {
    var value: PASID
    init(from decoder: any Decoder) throws {
        let number = try NumberText(from: decoder).value
        guard let pasid = UInt32(exactly: number).flatMap({ PASID($0) }) else {
            throw DecodingError.dataCorrupted(
                .init(
                    codingPath: decoder.codingPath,
                    debugDescription: "found \(number); expected a number of 20 bits"))
        }
        value = pasid
    }
}

/// A value that is written as one word of text.
protocol TextValue: Decodable {
    associatedtype Value
    static var expected: String { get }
    static func parse(_ text: String) -> Value?
    init(value: Value)
}

extension TextValue {
    init(from decoder: any Decoder) throws {
        let box = try decoder.singleValueContainer()
        let text = try box.decode(String.self)
        guard let value = Self.parse(text) else {
            throw DecodingError.dataCorruptedError(
                in: box, debugDescription: "found \"\(text)\"; expected \(Self.expected)")
        }
        self.init(value: value)
    }
}

struct RequesterText: TextValue {
    var value: RequesterID
    static var expected: String { "a device as SSSS:BB:DD.F" }
    static func parse(_ text: String) -> RequesterID? { RequesterID(text) }
}

struct ErrnoText: TextValue {
    var value: Errno
    static var expected: String { "an error symbol such as EBUSY" }
    static func parse(_ text: String) -> Errno? { Errno(symbol: text) }
}

struct RuleText: TextValue {
    var value: RuleID
    static var expected: String { "the id of a rule (domstore rules)" }
    static func parse(_ text: String) -> RuleID? { RuleID(rawValue: text) }
}

struct VerdictText: TextValue {
    var value: String
    private static var all: [String] {
        RestoreVerdict.allCases.map(\.rawValue) + [HandoverReport.aborted, HandoverReport.broken]
    }
    static var expected: String { "one of \(all.joined(separator: ", "))" }
    static func parse(_ text: String) -> String? { all.contains(text) ? text : nil }
}

struct ProtectionText: TextValue {
    var value: Protection
    static var expected: String { "r, w or rw" }
    static func parse(_ text: String) -> Protection? { Protection(text) }
}

struct AccessText: TextValue {
    var value: Access
    static var expected: String { "read or write" }
    static func parse(_ text: String) -> Access? { text == "read" ? .read : text == "write" ? .write : nil }
}

struct ReservedKindText: TextValue {
    var value: ReservedRegionKind
    static var expected: String { ReservedRegionKind.allCases.map(\.rawValue).joined(separator: ", ") }
    static func parse(_ text: String) -> ReservedRegionKind? { ReservedRegionKind(rawValue: text) }
}

struct IOMMUKindText: TextValue {
    var value: IOMMUKind
    static var expected: String { "intel-vtd, amd-vi or arm-smmuv3" }
    static func parse(_ text: String) -> IOMMUKind? {
        IOMMUKind(rawValue: text).flatMap { $0 == .riscv ? nil : $0 }
    }
}

struct ScopeText: TextValue {
    var value: LiveEngine.ResetScope
    static var expected: String { "function or bus" }
    static func parse(_ text: String) -> LiveEngine.ResetScope? { LiveEngine.ResetScope(rawValue: text) }
}

struct BackingKindText: TextValue {
    var value: Backing.Kind
    static var expected: String { Backing.Kind.allCases.map(\.rawValue).joined(separator: " or ") }
    static func parse(_ text: String) -> Backing.Kind? { Backing.Kind(rawValue: text) }
}

struct DefectText: TextValue {
    var value: EngineDefect
    static var expected: String { EngineDefect.allCases.map(\.rawValue).joined(separator: ", ") }
    static func parse(_ text: String) -> EngineDefect? { EngineDefect(rawValue: text) }
}

struct JumpText: TextValue {
    var value: ScenarioJump
    static var expected: String { ScenarioJump.allCases.map(\.rawValue).joined(separator: ", ") }
    static func parse(_ text: String) -> ScenarioJump? { ScenarioJump(rawValue: text) }
}

struct PolicyText: TextValue {
    var value: HandoverRun.Policy
    /// No scenario has a generation that is damaged in part: what it tampers with has good checksums.
    private static let all: [HandoverRun.Policy] = [.stop, .quarantineAll]
    static var expected: String { all.map(\.rawValue).joined(separator: " or ") }
    static func parse(_ text: String) -> HandoverRun.Policy? { all.first { $0.rawValue == text } }
}

struct FormatText: TextValue {
    var value: PageTableFormatKind
    static var expected: String { PageTableFormatKind.allCases.map(\.rawValue).joined(separator: ", ") }
    static func parse(_ text: String) -> PageTableFormatKind? { PageTableFormatKind(rawValue: text) }
}

/// Any key, to see which ones a file has.
private struct AnyKey: CodingKey {
    var stringValue: String
    var intValue: Int? { nil }
    init(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
}

extension Decoder {
    /// A keyed container that refuses keys it does not know.
    func strictContainer<Key: CodingKey & CaseIterable>(_: Key.Type) throws -> KeyedDecodingContainer<Key> {
        let known = Set(Key.allCases.map(\.stringValue))
        let unknown = try container(keyedBy: AnyKey.self).allKeys.map(\.stringValue).filter { !known.contains($0) }
        if let first = unknown.sorted().first {
            throw DecodingError.dataCorrupted(
                .init(
                    codingPath: codingPath,
                    debugDescription: "unknown key \"\(first)\"; known are \(known.sorted().joined(separator: ", "))"))
        }
        return try container(keyedBy: Key.self)
    }
}
