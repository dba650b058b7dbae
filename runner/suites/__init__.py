"""What suites add to runs, as pure functions: cells, cases, expectations, assertions, metrics and verdicts."""
