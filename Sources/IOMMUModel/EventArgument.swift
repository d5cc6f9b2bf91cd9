extension Event {
    /// One named argument. The name is not empty and has neither a space nor `=`; the value has no space.
    public struct Argument: Sendable {
        /// What the value is of, for example `iova`.
        public let name: String
        private let content: Content

        /// What most operations are about is written out when somebody reads it: a restore of thousands of devices notes
        /// events that are printed long after the devices translate again.
        private enum Content: Sendable {
            case text(String)
            case requester(RequesterID)
            case pasid(PASID)
            case number(UInt32)
            case address(UInt64)
        }

        /// As it is printed.
        public var value: String {
            switch content {
            case .text(let text): text
            case .requester(let requester): requester.description
            case .pasid(let pasid): pasid.description
            case .number(let number): String(number)
            case .address(let address): hex(address)
            }
        }

        /// Both as given; nothing is checked.
        public init(_ name: String, _ value: String) { (self.name, content) = (name, .text(value)) }
        /// `SSSS:BB:DD.F`.
        public init(_ name: String, _ value: RequesterID) { (self.name, content) = (name, .requester(value)) }
        /// Hexadecimal.
        public init(_ name: String, _ value: PASID) { (self.name, content) = (name, .pasid(value)) }
        /// Decimal.
        public init<Kind>(_ name: String, _ value: ObjectID<Kind>) {
            (self.name, content) = (name, .number(value.rawValue))
        }
        /// Hexadecimal, 16 digits.
        public init<Space>(_ name: String, _ value: Address<Space>) {
            (self.name, content) = (name, .address(value.rawValue))
        }
        /// The value by its `description`.
        public init(_ name: String, _ value: some CustomStringConvertible) { self.init(name, value.description) }
    }
}

extension Event.Argument: Hashable {
    /// As printed: one that was read back equals the one that was written.
    public static func == (a: Self, b: Self) -> Bool { a.name == b.name && a.value == b.value }

    /// As `==`.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(name)
        hasher.combine(value)
    }
}
