"""What is measured: one file for each row of the table, each with `async measure(bench) -> list[Figure]`."""
