/// How the old kernel of a scenario ends.
enum ScenarioJump: String, Sendable, CaseIterable {
    /// The next kernel starts, memory and devices as they are.
    case kexec
    /// It dies before anything is sealed; the next kernel starts.
    case beforeSeal = "before-seal"
    /// The jump fails after the seal: the old kernel goes on.
    case fails
    /// Sealed, and then the power fails: the next kernel finds no memory of before.
    case powerLoss = "power-loss"
}
