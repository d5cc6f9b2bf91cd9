import Testing

@testable import Store

/// One run of an operation that nothing disturbed: its calls, and what the directory holds after each success.
struct Recording {
    let operation: Operation
    let calls: [DiskCall]
    /// First as it was before, then after each success: what may be found later is one of two neighbours.
    let views: [StoreView]
    let callCount: Int
    let roomCallCount: Int

    /// - Parameter pragmas: what is said to SQLite instead of the store's own.
    init(_ operation: Operation, pragmas: [String: String] = [:]) throws {
        self.operation = operation
        let folder = try Folder(inMemory: true)
        let recorder = CallRecorder(folder, pragmas: operation.pragmas.merging(pragmas) { _, control in control })
        var steps = Operation.Steps(recorder: recorder)
        try recorder.record { try operation.run(try StoreLocation(folder.path), &steps) }
        calls = recorder.calls
        callCount = recorder.callCount
        roomCallCount = recorder.roomCallCount

        let scratch = try Folder(inMemory: true)
        var medium = Medium()
        var views: [StoreView] = []
        for call in calls {
            medium.apply(call)
            switch call {
            case .begin, .success:
                try medium.whole.write(to: scratch)
                views.append(try StoreView(scratch))
            default: break
            }
        }
        self.views = views
        #expect(views.count == steps.promises.count + 1)
        for (index, promise) in steps.promises.enumerated() {
            #expect(promise(views[index + 1]), "\(operation): what success \(index + 1) promises")
        }
        // What is simulated is what really happened.
        #expect(try StoreView(folder) == views.last)
        #expect(Set(folder.names) == Set(medium.whole.files.keys))
    }

    /// Calls `body` with the medium before each call of the operation, the call, and how many successes were told.
    func walk(_ body: (_ medium: borrowing Medium, _ next: DiskCall, _ successes: Int) throws -> Void) rethrows {
        var medium = Medium()
        var successes: Int?
        for call in calls {
            if let successes { try body(medium, call, successes) }
            medium.apply(call)
            switch call {
            case .begin: successes = 0
            case .success: successes = (successes ?? 0) + 1
            default: break
            }
        }
    }
}
