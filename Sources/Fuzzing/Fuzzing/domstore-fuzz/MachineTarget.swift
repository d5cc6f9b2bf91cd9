import PageTables

/// Input: a byte for the kind of unit, then changes of a ``SmallMachine``.
enum MachineTarget {
    static func run(_ input: UnsafeRawBufferPointer) {
        var reader = InputReader(input)
        guard let kind = SmallMachine.Kind(rawValue: reader.byte() % 4), var machine = try? SmallMachine(kind) else {
            return
        }
        machine.patch(&reader)
        guard let image = try? machine.image() else { preconditionFailure("no image") }
        Aftermath.run(image)
    }
}
