import Glibc

/// The built `domstore`, run as a process.
struct Binary {
    /// What a run left behind.
    struct Outcome {
        /// The exit code; `128 + signal` for a death by signal.
        var status: Int32
        var output: String
        var errors: String
        var lines: [String] { output.split(separator: "\n").map(String.init) }
    }

    /// What `DOMSTORE_PROGRAM` names, as another build of the program; else next to the test runner, where the package
    /// manager puts every product.
    static let path: String = {
        if let named = getenv("DOMSTORE_PROGRAM") { return String(cString: named) }
        var buffer = [CChar](repeating: 0, count: 4096)
        let count = readlink("/proc/self/exe", &buffer, buffer.count - 1)
        let own = String(decoding: buffer.prefix(max(0, count)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return own.split(separator: "/").dropLast().map { "/" + $0 }.joined() + "/domstore"
    }()

    /// Runs `domstore` with `arguments`; standard output and error go to files, so nothing can block.
    static func run(_ arguments: [String], environment: [String: String] = [:]) throws -> Outcome {
        let output = try ScratchFile()
        let errors = try ScratchFile()
        let process = try spawn(arguments, environment, output: output.descriptor, errors: errors.descriptor)
        return Outcome(status: try wait(process), output: try output.text(), errors: try errors.text())
    }

    /// Runs `domstore` and kills it by SIGKILL after `microseconds`, if it still runs then.
    static func run(_ arguments: [String], killAfter microseconds: UInt32) throws -> Outcome {
        let output = try ScratchFile()
        let errors = try ScratchFile()
        let process = try spawn(arguments, [:], output: output.descriptor, errors: errors.descriptor)
        usleep(microseconds)
        // Not waited for yet: the number cannot belong to another process.
        kill(process, SIGKILL)
        return Outcome(status: try wait(process), output: try output.text(), errors: try errors.text())
    }

    /// Runs another program, found through `PATH`, that itself may run `domstore`.
    static func run(program: String, _ arguments: [String]) throws -> Outcome {
        let output = try ScratchFile()
        let errors = try ScratchFile()
        let process = try spawn(
            arguments, [:], program: program, output: output.descriptor, errors: errors.descriptor)
        return Outcome(status: try wait(process), output: try output.text(), errors: try errors.text())
    }

    /// Runs `domstore` with standard output on a pseudo terminal of `columns` columns. Lines end in `\n`.
    static func runOnTerminal(
        _ arguments: [String], columns: UInt16, environment: [String: String] = [:]
    ) throws -> Outcome {
        let errors = try ScratchFile()
        let master = open("/dev/ptmx", O_RDWR | O_NOCTTY | Int32(O_CLOEXEC))
        var isLocked: Int32 = 0
        var number: Int32 = 0
        guard master >= 0, ioctl(master, TerminalRequest.lock, &isLocked) == 0,
            ioctl(master, TerminalRequest.number, &number) == 0
        else { throw Problem(call: "open /dev/ptmx") }
        defer { close(master) }
        let terminal = open("/dev/pts/\(number)", O_RDWR | O_NOCTTY | Int32(O_CLOEXEC))
        guard terminal >= 0 else { throw Problem(call: "open") }
        var size = winsize(ws_row: 50, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0)
        _ = ioctl(terminal, UInt(TIOCSWINSZ), &size)
        let process = try spawn(arguments, environment, output: terminal, errors: errors.descriptor)
        close(terminal)
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4096)
        // Ends with EIO when the process has closed the other side.
        while case let count = read(master, &chunk, chunk.count), count > 0 { bytes += chunk[..<count] }
        return Outcome(
            status: try wait(process), output: String(decoding: bytes.filter { $0 != 13 }, as: UTF8.self),
            errors: try errors.text())
    }

    /// Runs `domstore` with standard output going to `descriptor`.
    static func run(_ arguments: [String], output: Int32) throws -> Outcome {
        let errors = try ScratchFile()
        let process = try spawn(arguments, [:], output: output, errors: errors.descriptor)
        return Outcome(status: try wait(process), output: "", errors: try errors.text())
    }

    private static func spawn(
        _ arguments: [String], _ environment: [String: String], program: String = path, output: Int32, errors: Int32
    ) throws -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, output, 1)
        posix_spawn_file_actions_adddup2(&actions, errors, 2)
        var argv = ([program] + arguments).map { strdup($0) } + [nil]
        // Nothing of this process's surroundings may change the output.
        let variables = ["PATH=/usr/bin:/bin", "TERM=xterm"] + environment.map { "\($0)=\($1)" }
        var envp = variables.map { strdup($0) } + [nil]
        defer { (argv + envp).forEach { free($0) } }
        var process: pid_t = 0
        let code = posix_spawnp(&process, program, &actions, nil, &argv, &envp)
        guard code == 0 else { throw Problem(call: "posix_spawn \(program): \(String(cString: strerror(code)))") }
        return process
    }

    private static func wait(_ process: pid_t) throws -> Int32 {
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0 {
            guard errno == EINTR else { throw Problem(call: "waitpid") }
        }
        let signal = status & 0x7f
        return signal == 0 ? (status >> 8) & 0xff : 128 + signal
    }

    struct Problem: Error { var call: String }

    /// Linux's requests to a pseudo terminal, which no header that Swift imports names.
    private enum TerminalRequest {
        static let number: UInt = 0x8004_5430
        static let lock: UInt = 0x4004_5431
    }
}

/// An anonymous file for one run's output.
final class ScratchFile {
    private let file: UnsafeMutablePointer<FILE>
    var descriptor: Int32 { fileno(file) }

    init() throws {
        guard let file = tmpfile() else { throw Binary.Problem(call: "tmpfile") }
        self.file = file
        _ = fcntl(fileno(file), F_SETFD, FD_CLOEXEC)
    }

    deinit { fclose(file) }

    func text() throws -> String {
        var bytes = [UInt8](repeating: 0, count: Int(lseek(descriptor, 0, SEEK_END)))
        guard pread(descriptor, &bytes, bytes.count, 0) == bytes.count else { throw Binary.Problem(call: "pread") }
        return String(decoding: bytes, as: UTF8.self)
    }
}
