import Glibc
import Measurement

extension Benchmark {
    /// `domstore info` of a sealed generation beside `sqlite3` counting the rows of one of its tables: whole processes.
    private static func info(_ profile: StoreProfile, name: String, goal: Double?) throws -> Benchmark {
        let program = try Program.domstore()
        let sqlite = try Program.onPath("sqlite3")
        let ground = try ProfileGround(profile)
        let generation = ground.generation
        return Benchmark(
            name: name,
            summary:
                "\(profile.summary): domstore info (\(program.path)) beside sqlite3 'SELECT count(*) FROM domain', "
                + "whole processes", goal: goal, clock: .wall, repetitions: 5,
            subject: Side(label: "info", operations: 1, run: { _ in try program.run(["info", generation]) }),
            reference: Side(
                label: "sqlite3", operations: 1,
                run: { _ in try sqlite.run([generation, "SELECT count(*) FROM domain"]) }),
            facts: { ["\(ground.fileBytes) bytes in the file"] })
    }

    /// Of profile S.
    public static func infoSmall() throws -> Benchmark { try info(.s, name: "info-s", goal: 3) }
    /// Of profile X, which ``infoSmall()``'s goal does not speak of: `info` reads the file whole, and trusts nothing.
    public static func infoLargest() throws -> Benchmark { try info(.x, name: "info-x", goal: nil) }
}

/// A program that is run as a process, its output thrown away.
struct Program {
    struct Problem: Error, CustomStringConvertible {
        let description: String
    }

    let path: String

    /// The static release build of `domstore`: what `DOMSTORE_PROGRAM` names, or where README.md has it built.
    static func domstore() throws -> Program {
        let own = "\(#filePath)".split(separator: "/").dropLast(5).map { "/\($0)" }.joined()
        let path = getenv("DOMSTORE_PROGRAM").map { String(cString: $0) } ?? own + "/.build/static/release/domstore"
        guard access(path, X_OK) == 0 else {
            throw Problem(
                description: "no program at \(path), build it: swift build -c release --static-swift-stdlib "
                    + "--product domstore --scratch-path .build/static")
        }
        return Program(path: path)
    }

    static func onPath(_ name: String) throws -> Program {
        let folders = getenv("PATH").map { String(cString: $0) } ?? "/usr/bin"
        for folder in folders.split(separator: ":") where access("\(folder)/\(name)", X_OK) == 0 {
            return Program(path: "\(folder)/\(name)")
        }
        throw Problem(description: "\(name) is not in PATH")
    }

    /// Runs it to its end; 0, or a problem when that is not what it ended with.
    func run(_ arguments: [String]) throws -> UInt64 {
        var files = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&files)
        defer { posix_spawn_file_actions_destroy(&files) }
        posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0)
        var words: [UnsafeMutablePointer<CChar>?] = ([path] + arguments).map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        var process = pid_t()
        let error = posix_spawn(&process, path, &files, nil, &words, environ)
        guard error == 0 else { throw Problem(description: "\(path): \(String(cString: strerror(error)))") }
        var status: Int32 = 0
        waitpid(process, &status, 0)
        guard status == 0 else { throw Problem(description: "\(path) \(arguments) ended with \(status)") }
        return 0
    }
}
