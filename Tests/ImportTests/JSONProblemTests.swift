import Foundation
import Testing

@testable import Import

/// What is wrong with a JSON file is told in its user's words, with its place.
@Suite struct JSONProblemTests {
    struct Example: Decodable {
        struct Part: Decodable { var size: UInt8 }
        var name: String
        var parts: [Part]
    }

    static func problem(_ text: String) -> JSONProblem? {
        do {
            _ = try JSONDecoder().decode(Example.self, from: Data(text.utf8))
            return nil
        } catch let error as DecodingError {
            return JSONProblem(error, in: Array(text.utf8))
        } catch {
            return nil
        }
    }

    @Test(arguments: [
        (#"{"name": 3, "parts": []}"#, "name", "found a number; expected text"),
        (#"{"name": null, "parts": []}"#, "name", "found null; expected text"),
        (#"{"name": "x", "parts": {}}"#, "parts", "found an object; expected a list"),
        (#"{"name": "x", "parts": [[]]}"#, "parts[0]", "found a list; expected an object"),
        (#"{"name": "x", "parts": [{"size": true}]}"#, "parts[0].size", ""),
        (#"{"name": "x", "parts": [{}]}"#, "parts[0]", "found no \"size\"; expected one"),
        ("", "line 1, offset 0", "found the end of the file; expected JSON"),
        ("{\n\"name\" \"x\"}", "line 2, offset 9", "found \"\"\"; expected JSON"),
        (#"{"name": "x", "parts": [1 2]}"#, "line 1, offset 26", "found \"2\"; expected JSON"),
        (#"{"name": "x", "parts": [}"#, "line 1, offset 24", "found \"}\"; expected JSON"),
        ("hello", "line 1, offset 0", "found \"h\"; expected JSON"),
    ])
    func `the place and both sides are named`(text: String, place: String, sentence: String) throws {
        let problem = try #require(Self.problem(text))
        #expect(problem.place == place)
        #expect(sentence.isEmpty || problem.sentence == sentence)
        #expect(!problem.sentence.contains("decode") && !problem.sentence.contains("Swift"))
    }

    @Test func `a number out of bounds is no error of the syntax`() throws {
        let text = #"{"name": "x", "parts": [{"size": 256}]}"#
        #expect(JSONSyntax.firstError(in: Array(text.utf8)) == nil)
        let problem = try #require(Self.problem(text))
        #expect(!problem.sentence.contains("JSON;"))
    }

    /// The scanner against the decoder: what the decoder takes has no error; a file cut anywhere has one.
    @Test func `real files have no error, and none of their beginnings is whole`() throws {
        let path = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "Fixtures/images/vtd48.json")
        let bytes = Array(try Data(contentsOf: path))
        #expect(JSONSyntax.firstError(in: bytes) == nil)
        let end = try #require(bytes.lastIndex(of: UInt8(ascii: "}")))
        for count in stride(from: 0, to: end, by: 97) {
            #expect(JSONSyntax.firstError(in: Array(bytes.prefix(count))) == count)
        }
    }
}
