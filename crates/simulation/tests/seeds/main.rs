//! The simulation itself can be trusted.

#[cfg(test)]
mod tests {
    use tidegate_simulation::run;

    /// Runs that went wrong once, for what docs/simulation.md tells.
    #[test]
    fn what_went_wrong_once_does_not_again() {
        for seed in [223, 1951, 8661] {
            let violations = run(seed).unwrap().violations;
            assert!(violations.is_empty(), "seed {seed}: {violations:?}");
        }
    }

    /// The same seed is the same run, byte for byte; another one is another.
    #[test]
    fn a_run_can_be_repeated() {
        for seed in 0..100 {
            let (one, other) = (run(seed).unwrap(), run(seed).unwrap());
            assert!(one.trace == other.trace, "seed {seed}");
            assert!(!one.trace.is_empty());
        }
        assert!(run(1).unwrap().trace != run(2).unwrap().trace);
    }
}
