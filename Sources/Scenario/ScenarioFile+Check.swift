import IOMMUModel

extension ScenarioFile {
    /// What in the file does not fit together, with its place; `nil` when it does.
    ///
    /// Ids are made once and before they are used, but for a step that expects an error; devices are the machine's.
    func contradiction() -> (place: String, what: String)? {
        let devices = Set(machine.devices.map(\.requester))
        func unknown(_ requester: RequesterID) -> String? {
            devices.contains(requester) ? nil : "found \(requester); expected a device of the machine"
        }
        var files: Set<BackingID> = []
        for (index, file) in machine.memoryFiles.enumerated() where !files.insert(file.id).inserted {
            return ("machine.memory_files[\(index)].id", "found \(file.id) twice; expected an id of its own")
        }
        var ioases: Set<IOASID> = []
        var hwpts: Set<HWPTID> = []
        for (index, step) in steps.enumerated() where step.expect == nil {
            func missing(_ kind: String, _ id: some CustomStringConvertible) -> String {
                "found \(kind) \(id), which no step before makes"
            }
            func unknownFile(_ file: BackingID) -> String {
                "found file \(file); expected one of the machine's memory files"
            }
            var what: String?
            switch step.operation {
            case .createIOAS(let id):
                if !ioases.insert(id).inserted { what = "found ioas \(id) twice; expected an id of its own" }
            case .createHWPT(let id, let ioas, let unit, _, _):
                if !ioases.contains(ioas) { what = missing("ioas", ioas) }
                if !machine.units.contains(where: { $0.id == unit }) { what = "found unit \(unit), which is not there" }
                if !hwpts.insert(id).inserted { what = "found hwpt \(id) twice; expected an id of its own" }
            case .createNestedHWPT(let id, let parent, let unit, _):
                if !hwpts.contains(parent) { what = missing("hwpt", parent) }
                if !machine.units.contains(where: { $0.id == unit }) { what = "found unit \(unit), which is not there" }
                if !hwpts.insert(id).inserted { what = "found hwpt \(id) twice; expected an id of its own" }
            case .claim(let device), .attachIdentity(let device), .detach(let device, _): what = unknown(device)
            case .dma(let device, _, _, _, _): what = unknown(device)
            case .attach(let device, _, let hwpt):
                what = unknown(device) ?? (hwpts.contains(hwpt) ? nil : missing("hwpt", hwpt))
            case .map(let ioas, _, _, let file, _, _):
                if !ioases.contains(ioas) { what = missing("ioas", ioas) }
                if !files.contains(file) { what = unknownFile(file) }
            case .write(let file, _, _): if !files.contains(file) { what = unknownFile(file) }
            case .unmap(let ioas, _, _): if !ioases.contains(ioas) { what = missing("ioas", ioas) }
            case .mark(let hwpt, _): if !hwpts.contains(hwpt) { what = missing("hwpt", hwpt) }
            case .preCopy: break
            }
            if let what { return ("steps[\(index)]", what) }
        }
        for (index, change) in tamper.enumerated() {
            var what: String?
            switch change.change {
            case .leaf(let device, _, _, _), .lookupEntry(let device, _, _, _): what = unknown(device)
            case .attachment(let device, let other): what = unknown(device) ?? unknown(other)
            case .area(let ioas, _, _):
                if !ioases.contains(ioas) { what = "found ioas \(ioas), which no step makes" }
            }
            if let what { return ("tamper[\(index)]", what) }
        }
        let expected =
            (expect?.preserved ?? []) + (expect?.quarantined ?? []) + (expect?.refused ?? []).map(\.device)
        return expected.lazy.compactMap(unknown).first.map { ("expect", $0) }
    }
}
