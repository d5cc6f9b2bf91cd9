import Foundation
import Testing

/// `Schema/COOKBOOK.md`: each query gives the rows that stand below it.
@Suite struct CookbookTests {
    /// One section.
    struct Recipe: Sendable, CustomTestStringConvertible {
        var title: String
        var purpose: String
        var program: String
        var shape: String
        var sql: String
        var rows: [String]
        var testDescription: String { title }
    }

    static let text: String = {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        return (try? String(contentsOf: root.appending(path: "Schema/COOKBOOK.md"), encoding: .utf8)) ?? ""
    }()

    static let recipes: [Recipe] = text.components(separatedBy: "\n## ").dropFirst().compactMap { section in
        func block(_ language: String) -> [String] {
            let parts = section.components(separatedBy: "```\(language)\n")
            guard parts.count == 2, let body = parts[1].components(separatedBy: "\n```").first else { return [] }
            return body.split(separator: "\n").map(String.init)
        }
        guard let run = section.firstMatch(of: /\n\nRuns in: `([^`]+)`\. ([^\n]+)\n/),
            let title = section.split(separator: "\n").first
        else { return nil }
        let purpose = section[..<run.range.lowerBound].dropFirst(title.count)
        return Recipe(
            title: String(title), purpose: purpose.trimmingCharacters(in: .whitespacesAndNewlines),
            program: String(run.1),
            shape: String(run.2), sql: block("sql").joined(separator: "\n"), rows: block("csv"))
    }

    @Test func `there are ten, each with a purpose, a shape and rows`() {
        #expect(Self.recipes.count == 10)
        #expect(Self.text.components(separatedBy: "\n## ").count == 11)
        for (number, recipe) in Self.recipes.enumerated() {
            #expect(recipe.title.hasPrefix("\(number + 1). "))
            #expect(recipe.purpose.hasSuffix(".") && recipe.shape.hasSuffix(".") && recipe.rows.count > 1, "\(recipe)")
        }
        #expect(Set(Self.recipes.map(\.program)) == ["sqlite3", "domstore sql"])
    }

    @Test(arguments: recipes) func `a query gives the rows shown`(recipe: Recipe) throws {
        let store = SQLVerbTests.store
        if recipe.program == "sqlite3" {
            let run: Binary.Outcome
            do {
                run = try Binary.run(program: "sqlite3", ["-readonly", "-csv", "-header", store, recipe.sql])
            } catch {
                Issue.record("the sqlite3 shell does not run (\(error)); 'apt-get install sqlite3' installs it")
                return
            }
            #expect(run.status == 0 && run.errors == "", "\(run.errors)")
            #expect(run.lines.map { $0.replacing("\r", with: "") } == recipe.rows)
        }
        // This program answers them all. The shell quotes what has a space, we only what must be.
        let run = try Binary.run(["sql", store, recipe.sql, "--format", "csv"])
        #expect(run.status == 0 && run.errors == "", "\(run.errors)")
        #expect(run.lines == recipe.rows.map { $0.replacing("\"", with: "") })
    }
}
