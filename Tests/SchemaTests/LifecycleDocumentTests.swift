import Engine
import Foundation
import Testing

/// Schema/LIFECYCLE.md says what the engine does.
@Suite struct LifecycleDocumentTests {
    @Test func `the matrix of the page is the engine's own`() {
        let page = Checkout.text(of: "Schema/LIFECYCLE.md")
        #expect(page.contains(Lifecycle.table), "it should have: \(Lifecycle.table)")
        #expect(page.contains(DomainTransition.table), "it should have: \(DomainTransition.table)")
        #expect(page.contains(HandoverState.table), "it should have: \(HandoverState.table)")
        for state in HandoverState.allCases { #expect(page.contains("\n| \(state.rawValue) "), "\(state)") }
        for state in DomainState.allCases { #expect(page.contains("\n| \(state.rawValue) "), "\(state)") }
    }
}
