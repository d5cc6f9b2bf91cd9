/// The targets of a package as its manifest's text tells them.
///
/// The text is parsed, not run: asking the package manager takes seconds and a build lock.
struct Manifest {
    struct Target: Equatable {
        var name: String
        /// Names of targets of this package; products of others are left out.
        var dependencies: Set<String>
        /// The folder of its sources, relative to the root.
        var folder: String
        var isTest: Bool
    }

    var targets: [Target] = []

    init(text: String) {
        var rest = Self.withoutComments(text)[...]
        let kinds = [".target(", ".executableTarget(", ".testTarget(", ".systemLibrary("]
        while let (kind, start) = kinds.compactMap({ kind in rest.firstRange(of: kind).map { (kind, $0) } })
            .min(by: { $0.1.lowerBound < $1.1.lowerBound })
        {
            // Behind the whole call: a dependency may be written as a call of the same name.
            let call = Self.balanced(rest[start.upperBound...])
            rest = rest[call.endIndex...]
            guard let name = Self.string(in: call, after: "name:") else { continue }
            let isTest = kind == ".testTarget("
            targets.append(
                Target(
                    name: name, dependencies: Self.dependencies(in: call),
                    folder: Self.string(in: call, after: "path:") ?? (isTest ? "Tests/" : "Sources/") + name,
                    isTest: isTest))
        }
    }

    private static func dependencies(in call: Substring) -> Set<String> {
        guard let list = pieces(of: String(call), after: "dependencies:").first,
            let open = list.firstIndex(of: "[")
        else { return [] }
        var inside = balanced(list[list.index(after: open)...])
        // Products of other packages are calls with names of their own; targets may be too.
        var result: Set<String> = []
        while let start = inside.firstIndex(of: ".") {
            let before = inside[..<start]
            result.formUnion(strings(in: before))
            guard let paren = inside[start...].firstIndex(of: "(") else { break }
            let argument = balanced(inside[inside.index(after: paren)...])
            if inside[start..<paren] == ".target" || inside[start..<paren] == ".byName" {
                if let name = string(in: argument, after: "name:") { result.insert(name) }
            }
            inside = inside[argument.endIndex...].dropFirst()
        }
        return result.union(strings(in: inside))
    }

    /// Everything from the beginning of `text` to the bracket that closes what is open there.
    private static func balanced(_ text: Substring) -> Substring {
        var depth = 0
        var index = text.startIndex
        var inString = false
        while index < text.endIndex {
            switch text[index] {
            case "\"": inString.toggle()
            case "(", "[": if !inString { depth += 1 }
            case ")", "]":
                if !inString {
                    if depth == 0 { return text[..<index] }
                    depth -= 1
                }
            default: break
            }
            index = text.index(after: index)
        }
        return text
    }

    private static func string(in text: Substring, after label: String) -> String? {
        pieces(of: String(text), after: label).first.flatMap { strings(in: $0).first }
    }

    private static func strings(in text: Substring) -> [String] {
        text.split(separator: "\"", omittingEmptySubsequences: false).enumerated()
            .filter { $0.offset % 2 == 1 }.map { String($0.element) }
    }

    /// What follows each place where `mark` stands in `text`.
    private static func pieces(of text: String, after mark: String) -> [Substring] {
        var result: [Substring] = []
        var rest = text[...]
        while let range = rest.firstRange(of: mark) {
            rest = rest[range.upperBound...]
            result.append(rest)
        }
        return result
    }

    private static func withoutComments(_ text: String) -> String {
        text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
            // An address of a package holds the same two slashes: after a colon.
            guard let range = line.ranges(of: "//").first(where: { !line[..<$0.lowerBound].hasSuffix(":") }) else {
                return String(line)
            }
            return String(line[..<range.lowerBound])
        }.joined(separator: "\n")
    }
}
