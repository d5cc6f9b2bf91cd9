import CSQLite
import Glibc

/// SQLite's side of a ``VirtualTable``: an eponymous module, which SQL names without `CREATE VIRTUAL TABLE`.
final class VirtualTableModule {
    let table: VirtualTable
    let connection: OpaquePointer

    init(_ table: VirtualTable, _ connection: OpaquePointer) {
        self.table = table
        self.connection = connection
    }

    /// `sqlite3_vtab` as C lays it out, and our module behind it.
    private struct Table {
        var base: sqlite3_vtab
        var module: Unmanaged<VirtualTableModule>
    }

    /// `sqlite3_vtab_cursor`, and our rows behind it.
    private struct Cursor {
        var base: sqlite3_vtab_cursor
        var walk: Unmanaged<Walk>
    }

    private final class Walk {
        let rows: any VirtualRows
        let module: VirtualTableModule
        var rowID: Int64 = 0

        init(_ rows: any VirtualRows, _ module: VirtualTableModule) {
            self.rows = rows
            self.module = module
        }
    }

    /// Read-only, without transactions: only the walk over rows is there.
    nonisolated(unsafe) static let methods: UnsafePointer<sqlite3_module> = {
        let methods = UnsafeMutablePointer<sqlite3_module>.allocate(capacity: 1)
        var module = sqlite3_module()
        module.iVersion = 1
        module.xConnect = { connection, context, _, _, result, _ in
            guard let context, let result else { return SQLITE_MISUSE }
            let module = Unmanaged<VirtualTableModule>.fromOpaque(context)
            let code = sqlite3_declare_vtab(connection, module.takeUnretainedValue().table.declaration)
            guard code == SQLITE_OK else { return code }
            let table = UnsafeMutablePointer<Table>.allocate(capacity: 1)
            table.initialize(to: Table(base: sqlite3_vtab(), module: module.retain()))
            result.pointee = UnsafeMutableRawPointer(table).assumingMemoryBound(to: sqlite3_vtab.self)
            return SQLITE_OK
        }
        module.xDisconnect = { base in
            let table = UnsafeMutableRawPointer(base!).assumingMemoryBound(to: Table.self)
            table.pointee.module.release()
            table.deinitialize(count: 1)
            table.deallocate()
            return SQLITE_OK
        }
        module.xBestIndex = { base, plan in
            guard let base, let plan else { return SQLITE_MISUSE }
            return VirtualTableModule.module(of: base).choose(plan)
        }
        module.xOpen = { base, result in
            guard let base, let result else { return SQLITE_MISUSE }
            let module = VirtualTableModule.module(of: base)
            let walk = Walk(module.table.rows(Preparer(handle: module.connection)), module)
            let cursor = UnsafeMutablePointer<Cursor>.allocate(capacity: 1)
            cursor.initialize(to: Cursor(base: sqlite3_vtab_cursor(), walk: .passRetained(walk)))
            result.pointee = UnsafeMutableRawPointer(cursor).assumingMemoryBound(to: sqlite3_vtab_cursor.self)
            return SQLITE_OK
        }
        module.xClose = { base in
            let cursor = UnsafeMutableRawPointer(base!).assumingMemoryBound(to: Cursor.self)
            cursor.pointee.walk.release()
            cursor.deinitialize(count: 1)
            cursor.deallocate()
            return SQLITE_OK
        }
        module.xFilter = { base, places, _, count, arguments in
            VirtualTableModule.step(base) { (walk) throws(SQLiteError) in
                var keys: [Int: SQLValue] = [:]
                // Bit k of the plan: column k has a value among the arguments, in ascending order.
                var column = 0
                for index in 0..<Int(count) {
                    while Int64(places) >> Int64(column) & 1 == 0 { column += 1 }
                    keys[column] = SQLValue(argument: arguments?[index])
                    column += 1
                }
                walk.rowID = 0
                try walk.rows.begin(keys)
            }
        }
        module.xNext = { base in
            VirtualTableModule.step(base) { (walk) throws(SQLiteError) in
                walk.rowID += 1
                try walk.rows.next()
            }
        }
        module.xEof = { VirtualTableModule.walk(of: $0!).rows.isAtEnd ? 1 : 0 }
        module.xColumn = { base, context, index in
            VirtualTableModule.walk(of: base!).rows.value(Int(index)).answer(to: context)
            return SQLITE_OK
        }
        module.xRowid = { base, result in
            result?.pointee = VirtualTableModule.walk(of: base!).rowID
            return SQLITE_OK
        }
        methods.initialize(to: module)
        return UnsafePointer(methods)
    }()

    private static func module(of base: UnsafeMutablePointer<sqlite3_vtab>) -> VirtualTableModule {
        UnsafeMutableRawPointer(base).assumingMemoryBound(to: Table.self).pointee.module.takeUnretainedValue()
    }

    private static func walk(of base: UnsafeMutablePointer<sqlite3_vtab_cursor>) -> Walk {
        UnsafeMutableRawPointer(base).assumingMemoryBound(to: Cursor.self).pointee.walk.takeUnretainedValue()
    }

    private static func step(
        _ base: UnsafeMutablePointer<sqlite3_vtab_cursor>?, _ body: (Walk) throws(SQLiteError) -> Void
    ) -> Int32 {
        guard let base else { return SQLITE_MISUSE }
        do {
            try body(walk(of: base))
            return SQLITE_OK
        } catch {
            let table = base.pointee.pVtab!
            sqlite3_free(table.pointee.zErrMsg)
            table.pointee.zErrMsg = error.message.withCString { text in
                let bytes = strlen(text) + 1
                let copy = sqlite3_malloc64(UInt64(bytes))
                copy?.copyMemory(from: text, byteCount: bytes)
                return copy?.assumingMemoryBound(to: CChar.self)
            }
            return error.extendedCode
        }
    }

    /// Takes equality on key columns, each once; the columns taken are the bits of the plan's number.
    private func choose(_ plan: UnsafeMutablePointer<sqlite3_index_info>) -> Int32 {
        var taken: [Int: Int] = [:]
        for index in 0..<Int(plan.pointee.nConstraint) {
            let constraint = plan.pointee.aConstraint[index]
            let column = Int(constraint.iColumn)
            guard constraint.op == UInt8(SQLITE_INDEX_CONSTRAINT_EQ), table.columns.indices.contains(column),
                column < 31,
                table.columns[column].isKey, taken[column] == nil,
                // Not in this order of tables: for another one SQLite asks again.
                constraint.usable != 0
            else { continue }
            taken[column] = index
        }
        var bits: Int32 = 0
        for (place, column) in taken.keys.sorted().enumerated() {
            bits |= 1 << Int32(column)
            plan.pointee.aConstraintUsage[taken[column]!].argvIndex = Int32(place + 1)
        }
        let rows = max(1, table.estimatedRows >> Int64(8 * taken.count))
        plan.pointee.idxNum = bits
        plan.pointee.estimatedRows = rows
        plan.pointee.estimatedCost = Double(rows)
        return SQLITE_OK
    }
}

extension Connection {
    /// Adds a table that SQL of this connection can read from now on.
    public borrowing func add(_ table: VirtualTable) throws(SQLiteError) {
        precondition(table.columns.count < 64, "a virtual table has at most 63 columns")
        let module = Unmanaged.passRetained(VirtualTableModule(table, handle))
        // SQLite lets go of it when the connection ends, and when this fails.
        let code = sqlite3_create_module_v2(handle, table.name, VirtualTableModule.methods, module.toOpaque()) {
            context in
            if let context { Unmanaged<VirtualTableModule>.fromOpaque(context).release() }
        }
        guard code == SQLITE_OK else { throw SQLiteError(code: code, connection: handle) }
        // It declares itself when it is first named: now, before anything is forbidden.
        _ = try prepare("SELECT 1 FROM \"\(table.name)\"")
    }
}
