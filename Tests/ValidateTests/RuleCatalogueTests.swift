import IOMMUModel
import Testing

@testable import Validate

@Suite struct RuleCatalogueTests {
    @Test(arguments: RuleID.allCases)
    func `every rule has a promise of one sentence and a source`(id: RuleID) {
        let rule = Rule.of(id)
        #expect(rule.id == id)
        #expect(rule.promise.hasSuffix(".") && rule.promise.count > 20)
        #expect(!rule.promise.dropLast().contains(". "))
        #expect(!rule.source.isEmpty)
        #expect(rule.advice.hasSuffix(".") || rule.advice.hasSuffix("?"))
        #expect(rule.advice.count > 20 && rule.description.contains(rule.advice))
        #expect(!rule.implied.contains(id))
        #expect(rule.description.contains(id.rawValue))
    }

    @Test func `ids are unique and promises are not copied`() {
        #expect(Set(RuleID.allCases.map(\.rawValue)).count == RuleID.allCases.count)
        #expect(Set(Rule.all.map(\.promise)).count == RuleID.allCases.count)
        #expect(Rule.all.map(\.id) == RuleID.allCases)
    }

    @Test func `no rule implies itself over others`() {
        func reach(_ id: RuleID) -> Set<RuleID> {
            var seen: Set<RuleID> = []
            var open = Rule.of(id).implied
            while let next = open.popLast() {
                if seen.insert(next).inserted { open += Rule.of(next).implied }
            }
            return seen
        }
        for id in RuleID.allCases { #expect(!reach(id).contains(id), "\(id.rawValue)") }
    }
}
