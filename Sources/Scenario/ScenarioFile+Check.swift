import IOMMUModel

extension ScenarioFile {
    /// What in the file does not fit together, with its place; `nil` when it does.
    ///
    /// Ids are made once and before they are used, but for a step that expects an error; devices are the machine's.
    func contradiction() -> (place: String, what: String)? {
        let devices = Set(machine.devices.map(\.requester))
        func unknown(_ requester: RequesterID) -> String? { Names.unknown(requester, devices) }
        var files: Set<BackingID> = []
        for (index, file) in machine.memoryFiles.enumerated() where !files.insert(file.id).inserted {
            return ("machine.memory_files[\(index)].id", "found \(file.id) twice; expected an id of its own")
        }
        var names = Names(files: files, devices: devices, units: Set(machine.units.map(\.id)))
        if let problem = names.contradiction(in: steps, called: "steps") { return problem }
        let ioases = names.ioases
        names.reset(adding: next.compactMap(\.newDevice))
        if let problem = names.contradiction(in: after ?? [], called: "after") { return problem }
        for (index, change) in next.enumerated() {
            let what =
                change.device.flatMap(unknown)
                ?? change.unit.flatMap { id in
                    machine.units.contains { $0.id == id } ? nil : "found unit \(id), which is not there"
                }
            if let what { return ("next[\(index)]", what) }
        }
        for (list, changes) in [("damage", damage), ("tamper", tamper)] {
            for (index, change) in changes.enumerated() {
                var what: String?
                switch change.change {
                case .leaf(let device, _, _, _, _), .lookupEntry(let device, _, _, _), .tablePage(let device, _, _),
                    .recordedPage(let device, _, _), .attachmentGone(let device, _):
                    what = unknown(device)
                case .attachment(let device, let other), .cacheTag(let device, let other):
                    what = unknown(device) ?? unknown(other)
                case .area(let ioas, _, _), .areaGone(let ioas, _):
                    if !ioases.contains(ioas) { what = "found ioas \(ioas), which no step makes" }
                case .feature: break
                }
                if list == "damage", !change.isOfMemory {
                    what = "found a change of the sealed file; expected one of memory"
                }
                if let what { return ("\(list)[\(index)]", what) }
            }
        }
        let expected =
            (expect?.preserved ?? []) + (expect?.quarantined ?? []) + (expect?.refused ?? []).map(\.device)
        return expected.lazy.compactMap(unknown).first.map { ("expect", $0) }
    }
}

/// What steps may name: what is there, and what a step before has made.
private struct Names {
    let files: Set<BackingID>
    private var devices: Set<RequesterID>
    let units: Set<UnitID>
    private(set) var ioases: Set<IOASID> = []
    private var hwpts: Set<HWPTID> = []

    init(files: Set<BackingID>, devices: Set<RequesterID>, units: Set<UnitID>) {
        self.files = files
        self.devices = devices
        self.units = units
    }

    /// Another kernel's userspace has none of them.
    mutating func reset(adding more: [RequesterID]) {
        (ioases, hwpts) = ([], [])
        devices.formUnion(more)
    }

    static func unknown(_ requester: RequesterID, _ devices: Set<RequesterID>) -> String? {
        devices.contains(requester) ? nil : "found \(requester); expected a device of the machine"
    }

    private func missing(_ kind: String, _ id: some CustomStringConvertible) -> String {
        "found \(kind) \(id), which no step before makes"
    }

    private func check(_ file: BackingID) -> String? {
        files.contains(file) ? nil : "found file \(file); expected one of the machine's memory files"
    }

    private func check(_ hwpt: HWPTID) -> String? { hwpts.contains(hwpt) ? nil : missing("hwpt", hwpt) }

    private func check(_ ioas: IOASID) -> String? { ioases.contains(ioas) ? nil : missing("ioas", ioas) }

    private mutating func make(_ hwpt: HWPTID, on unit: UnitID?) -> String? {
        if let unit, !units.contains(unit) { return "found unit \(unit), which is not there" }
        return hwpts.insert(hwpt).inserted ? nil : "found hwpt \(hwpt) twice; expected an id of its own"
    }

    /// Steps that expect an error may name what is not there.
    mutating func contradiction(in steps: [ScenarioStep], called place: String) -> (place: String, what: String)? {
        for (index, step) in steps.enumerated() where step.expect == nil {
            if let what = contradiction(of: step.operation) { return ("\(place)[\(index)]", what) }
        }
        return nil
    }

    private mutating func contradiction(of operation: ScenarioStep.Operation) -> String? {
        switch operation {
        case .createIOAS(let id):
            ioases.insert(id).inserted ? nil : "found ioas \(id) twice; expected an id of its own"
        case .createHWPT(let id, let ioas, let unit, _, _): check(ioas) ?? make(id, on: unit)
        case .createNestedHWPT(let id, let parent, let unit, _): check(parent) ?? make(id, on: unit)
        case .adopt(let id, _, _): make(id, on: nil)
        case .map(let ioas, _, _, let file, _, _): check(ioas) ?? check(file)
        case .unmap(let ioas, _, _), .destroyIOAS(let ioas): check(ioas)
        case .write(let file, _, _), .preserveFile(let file, _): check(file)
        case .mark(let hwpt, _), .unmark(let hwpt), .destroyHWPT(let hwpt), .dirtyTracking(let hwpt, _): check(hwpt)
        case .attach(let device, _, let hwpt), .replace(let device, _, let hwpt, _), .compare(let device, _, let hwpt):
            Self.unknown(device, devices) ?? check(hwpt)
        case .claim(let device), .attachIdentity(let device), .detach(let device, _), .dma(let device, _, _, _, _),
            .claimOwner(let device, _), .releaseOwner(let device), .preserve(let device, _), .unpreserve(let device),
            .open(let device, _), .close(let device), .bindDriver(let device, _), .unbindDriver(let device),
            .reset(let device, _), .power(let device, _), .interrupts(let device, _), .retrieve(let device, _),
            .keepIdentity(let device), .quarantine(let device), .discard(let device), .release(let device):
            Self.unknown(device, devices)
        case .createSession, .closeSession, .abandon, .finish, .preCopy: nil
        }
    }
}
