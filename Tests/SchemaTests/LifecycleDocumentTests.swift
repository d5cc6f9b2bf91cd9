import Engine
import Foundation
import Testing

/// Schema/LIFECYCLE.md says what the engine does.
@Suite struct LifecycleDocumentTests {
    @Test func `the matrix of the page is the engine's own`() {
        let page = Checkout.text(of: "Schema/LIFECYCLE.md")
        #expect(page.contains(Lifecycle.table), "it should have: \(Lifecycle.table)")
        for state in DomainState.allCases { #expect(page.contains("\n| \(state.rawValue) "), "\(state)") }
    }
}
