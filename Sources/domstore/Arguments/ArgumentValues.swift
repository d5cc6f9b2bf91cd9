import ArgumentParser
import IOMMUModel
import Store

extension RequesterID: ExpressibleByArgument {
    /// `SSSS:BB:DD.F` or, on segment 0, `BB:DD.F`.
    public init?(argument: String) { self.init(argument) }
}

extension Address: ExpressibleByArgument where Space == IOVASpace {
    /// `0x…` or decimal.
    public init?(argument: String) {
        guard let value = parseInteger(argument) else { return nil }
        self.init(value)
    }
}

extension IOMMUKind: ExpressibleByArgument {}

/// A PASID, or `-` for requests without one.
struct PASIDArgument: ExpressibleByArgument {
    /// `nil`: untagged.
    var pasid: PASID?

    init?(argument: String) {
        if argument == "-" { return }
        guard let value = parseInteger(argument), let number = UInt32(exactly: value), let pasid = PASID(number) else {
            return nil
        }
        self.pasid = pasid
    }
}

/// `DEVICE[#PASID]`.
struct DeviceArgument: ExpressibleByArgument {
    var device: RequesterID
    /// `nil`: untagged.
    var pasid: PASID?

    init?(argument: String) {
        let parts = argument.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false)
        guard let device = RequesterID(parts[0]) else { return nil }
        self.device = device
        if parts.count == 2 {
            guard let value = PASIDArgument(argument: String(parts[1])) else { return nil }
            pasid = value.pasid
        }
    }
}

/// `NAME=VALUE` with a number as value; names are lower-cased.
struct NamedNumber: ExpressibleByArgument, Hashable {
    var name: String
    var value: UInt64

    init?(argument: String) {
        guard let equals = argument.firstIndex(of: "="), equals != argument.startIndex,
            let value = parseInteger(argument[argument.index(after: equals)...])
        else { return nil }
        name = argument[..<equals].lowercased()
        self.value = value
    }
}

/// `NAME=VALUE,…`, as `--platform` takes it.
struct NamedNumbers: ExpressibleByArgument, Hashable {
    var values: [NamedNumber]

    init?(argument: String) {
        let parts = argument.split(separator: ",", omittingEmptySubsequences: false)
        values = parts.compactMap { NamedNumber(argument: String($0)) }
        guard values.count == parts.count else { return nil }
    }
}

/// A plain number, `0x…` or decimal.
struct NumberArgument: ExpressibleByArgument, Hashable {
    var value: UInt64

    init?(argument: String) {
        guard let value = parseInteger(argument) else { return nil }
        self.value = value
    }
}

extension ExpectedSeal: ExpressibleByArgument {
    /// `GEN:ROOT`.
    public init?(argument: String) { self.init(argument) }
}
